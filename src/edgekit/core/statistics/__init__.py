"""Statistics of latencies: intervals over launches, paired comparison, drift and warm-up, the nightly gate, trust."""
