"""From figures to verdicts: budgets, baselines, the nights before, causes."""
