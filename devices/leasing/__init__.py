"""Who works on a device: one command at a time."""
