"""`python -m edgekit` is the same program as `edgekit`."""

from edgekit.cli.main import main

if __name__ == "__main__":  # worker processes import this module again under another name
    main()
