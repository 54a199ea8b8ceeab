"""The work of each command, and the Python API: joins the layers."""
