"""Several devices in one command: what runs at the same time, who holds a device, and what is missing afterwards."""
