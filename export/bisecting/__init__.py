"""Where two graphs part: tensors aligned, and the first that differs."""
