"""What the native code of backends is held to: a limit of memory, and notes for the process that waits for it."""
