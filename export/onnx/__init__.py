"""The ONNX format: exporter, quantizer, reader, tracer."""
