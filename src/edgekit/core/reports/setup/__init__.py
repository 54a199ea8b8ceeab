"""The documents of commands that set edgekit up or describe it: devices, tools, settings, lists."""
