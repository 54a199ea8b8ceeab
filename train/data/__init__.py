"""Readers of the data sets the reference models are trained on."""
