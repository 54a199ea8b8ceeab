"""One module per command, which parses, calls one flow, prints and exits."""
