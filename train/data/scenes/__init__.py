"""Scenes of digits on photographs: with the box of each digit, or with the digit of each pixel."""
