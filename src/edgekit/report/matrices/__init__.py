"""Tables of what was measured over many combinations."""
