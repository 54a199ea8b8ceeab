"""What the task of a model says of its outputs: its metric, and the form of its boxes."""
