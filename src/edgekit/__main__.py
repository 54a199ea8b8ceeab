"""`python -m edgekit` is the same program as `edgekit`."""

import sys
from pathlib import Path

from edgekit.cli.main import main

if __name__ == "__main__":  # worker processes import this module again under another name
    # `python -m` would import from the current folder first, which others may have filled.
    if not sys.flags.safe_path and not Path(__file__).is_relative_to(sys.path[0]):
        del sys.path[0]
    main()
