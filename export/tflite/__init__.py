"""The TFLite format: exporter, quantizer, reader, tracer."""
