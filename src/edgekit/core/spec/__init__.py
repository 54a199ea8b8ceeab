"""What a model takes and returns, without importing the model."""
