"""The work of each command: one module each, which joins the layers below."""
