"""PyTorch modules: loading, calling, tracing, and saying why one cannot be traced."""
