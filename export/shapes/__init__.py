"""Sizes of free axes: signatures, lengths, and the calibration inputs at each size."""
