"""The pages of reports: HTML that runs no script and loads nothing."""
