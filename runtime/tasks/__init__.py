"""What the outputs of a task mean, and how good they are: the one implementation for every format and device."""
