"""The command line: one module a command, each parses, calls one flow, prints and exits."""
