"""What the formats have in common as graphs: contents, traces, audio front ends."""
