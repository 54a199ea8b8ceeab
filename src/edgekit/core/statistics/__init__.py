"""Statistics of latencies and metrics: intervals, paired comparison, drift and warm-up, the nightly gate, trust."""
