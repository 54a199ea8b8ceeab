"""What processors are called and what they can do: tables that grow with new devices, and no code."""
