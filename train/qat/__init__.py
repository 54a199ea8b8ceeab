"""Training in which a network computes as its int8 files will."""
