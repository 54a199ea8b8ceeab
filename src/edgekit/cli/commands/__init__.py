"""One module a command: parses, calls one flow, prints, exits."""
