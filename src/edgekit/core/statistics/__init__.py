"""Statistics of latencies: intervals over launches, paired comparison, steadiness, the nightly gate, trust."""
