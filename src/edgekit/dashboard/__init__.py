"""The pages of a store of runs: served to browsers, read-only."""
