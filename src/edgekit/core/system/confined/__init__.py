"""What others wrote stays in its place: paths in the file of a project, and what it may replace."""
