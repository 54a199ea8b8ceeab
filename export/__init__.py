"""Exporters, quantizers, calibration and validation."""
