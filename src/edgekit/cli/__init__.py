"""The command line: one module per command, which parses, calls one flow, prints and exits."""
