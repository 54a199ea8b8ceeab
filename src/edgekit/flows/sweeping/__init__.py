"""From a sweep file to launches of every combination that it names, kept as they end, and verdicts between versions."""
