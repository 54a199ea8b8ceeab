"""Torch's own loader as an oracle: opens and runs the archives named on stdin, and says on stdout what came of each.

It runs in a process of its own with limits. Whatever an archive plants appears in the files that the test watches.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import warnings


def main() -> None:
    """Open one archive a line."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    import torch

    for line in sys.stdin:
        said = ""
        try:
            program = torch.export.load(line.strip())
            arguments, keywords = program.example_inputs
            program.module()(*arguments, **keywords)
        except BaseException as err:  # noqa: BLE001  # planted code raises anything
            said = f"{type(err).__name__}: {err}"[:300]
        # It would be imported once only.
        sys.modules.pop("planted", None)
        replies.write(json.dumps(said) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
