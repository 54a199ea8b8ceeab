"""Statistics of latencies and metrics: intervals, paired comparison, steadiness, the nightly gate, trust."""
