"""A model on a sequence, part by part: its states continue from each part to the next."""
