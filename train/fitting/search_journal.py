"""The journal of a search: what Optuna asks of a backend, on a file that a killed process cannot damage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import journal

from edgekit.core.errors import Unreadable, from_os_error
from edgekit.core.system.durable.appended import append_line, read_lines


class SearchJournal(journal.BaseJournalBackend):
    """One JSON document per line, shared by several processes.

    Optuna's own backend adds to a line that a killed process has begun, so that the file can never be read again, and
    waits half a minute for the lock of such a process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The documents from this number on, in order.

        Raises:
            Unreadable: A line is damaged.
        """
        try:
            lines = read_lines(self._path).whole
        except OSError as err:
            raise from_os_error(err, f"reading '{self._path}'") from err
        for number in range(log_number_from, len(lines)):
            try:
                yield json.loads(lines[number])
            except (ValueError, RecursionError) as err:
                raise Unreadable(f"Line {number + 1} of '{self._path}' is damaged: {err}.") from err

    def append_logs(self, logs: Sequence[Mapping[str, Any]]) -> None:
        """Add the documents, all or none.

        Raises:
            DiskFull, EnvironmentFault: The file cannot be written.
        """
        text = "\n".join(json.dumps(one, separators=(",", ":")) for one in logs)
        try:
            append_line(self._path, text.encode())
        except OSError as err:
            raise from_os_error(err, f"writing '{self._path}'") from err
