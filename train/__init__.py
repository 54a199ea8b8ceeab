"""Reference models, data readers, the training loop and evaluation."""
