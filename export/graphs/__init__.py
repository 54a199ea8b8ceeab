"""Graphs of all formats: contents, traces, operators, audio front ends."""
