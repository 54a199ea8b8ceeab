"""`python -m edgekit` is the same program as `edgekit`."""

import os
import sys

if __name__ == "__main__":  # worker processes import this module again under another name
    # `python -m` would import from the current folder first, which others may have filled. Python itself has imported
    # `os`; nothing else may be imported before this.
    if not sys.flags.safe_path and not __file__.startswith(os.path.join(sys.path[0], "")):
        del sys.path[0]

from edgekit.cli.main import main

if __name__ == "__main__":
    main()
