"""What the native code of backends is held to: its memory, and what the process that waits for it is told."""
