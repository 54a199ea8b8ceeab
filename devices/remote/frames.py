"""Frames around what a command prints on a device: what its login shell, a message or a wrapper prints is outside."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from edgekit.core.system.processes import Finished

# Characters that every login shell leaves alone inside single quotes, csh and fish included.
_PLAIN: Final = frozenset(
    b'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./,:;=+-@%#()[]{}<>|&*?~^$"`'
)


@dataclass(frozen=True)
class Frame:
    """A random mark in front of and behind the output and the errors of one command.

    The command contains the mark in two parts, so that a shell that prints its commands does not print the mark.
    """

    mark: str = field(default_factory=lambda: secrets.token_hex(12))

    @property
    def opening(self) -> bytes:
        """The line in front of each stream."""
        return f"<{self.mark}\n".encode()

    def around(self, command: str) -> str:
        """`command` for a POSIX shell, with the frame around what it prints; ends with its exit code."""
        mark = f"'{self.mark[:8]}' '{self.mark[8:]}'"
        begin, end = f"printf '<%s%s\\n' {mark}", f"printf '\\n>%s%s %s\\n' {mark} $code"
        return f"{begin}; {begin} >&2\n(\n{command}\n)\ncode=$?\n{end} >&2; {end}\nexit $code"

    def has_begun(self, finished: Finished) -> bool:
        """True if the shell started the command."""
        return self.opening in finished.out

    def inside(self, finished: Finished) -> Finished | None:
        """What the command itself printed and its exit code; None if it did not end."""
        out, err = self._content(finished.out), self._content(finished.err.encode())
        if out is None or err is None:
            return None
        return Finished(out[1], out[0], err[0].decode(errors="replace"))

    def _content(self, stream: bytes) -> tuple[bytes, int] | None:
        closing = re.search(rb"\n>" + self.mark.encode() + rb" (\d{1,3})\n", stream)
        start = stream.find(self.opening)
        if closing is None or start < 0:
            return None
        return stream[start + len(self.opening) : closing.start()], int(closing[1])


def for_login_shell(script: str) -> str:
    """`script` for a login shell of any kind (sh, csh, fish, a restricted shell): run by sh, with messages in English.

    Everything that one of them could expand is written as octal numbers, which sh turns back.
    """
    coded = "".join(chr(byte) if byte in _PLAIN else f"\\0{byte:03o}" for byte in script.encode())
    return f"env LC_ALL=C sh -c 'eval \"$(printf %b \"$0\")\"' '{coded}'"
