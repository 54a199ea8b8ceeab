"""The store of runs: what keeps a report, finds it again, and writes it for other programs."""
