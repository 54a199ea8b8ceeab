"""PyTorch modules: loading, calling, tracing, and why one cannot be traced."""
