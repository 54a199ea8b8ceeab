"""Runs `source_kinds`."""

from benchmarks.sources.source_kinds import main

main()
