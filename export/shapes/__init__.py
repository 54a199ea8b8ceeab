"""Sizes of dynamic axes: signatures, lengths, and the calibration inputs at each size."""
