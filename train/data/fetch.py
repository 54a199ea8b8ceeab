"""Downloads of data sets from their official addresses, only when asked: resumable, and checked by sha256."""

from __future__ import annotations

import http.client
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError, from_os_error
from edgekit.core.system.files import sha256_file, write_atomic
from edgekit.core.system.progress import Progress, Silent
from edgekit.train.data.dataset_files import cache_folder

_CHUNK_BYTES: Final = 1 << 20
_TIMEOUT_S: Final = 30.0
_MAX_FILE_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class Remote:
    """One file of a data set: its official address, and the sha256 of the file as it lies there.

    `holds` are the files that are taken out of it, by their name without folders, when it is a tar.
    """

    address: str
    sha256: str
    holds: tuple[str, ...] = ()


_FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
# The digests that are commonly listed for the original files; a download from these addresses has not been tried yet.
SOURCES: Final[Mapping[str, Mapping[str, Remote]]] = {
    "mnist": {
        "train-images-idx3-ubyte.gz": Remote(
            f"{_MNIST}/train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": Remote(
            f"{_MNIST}/train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": Remote(
            f"{_MNIST}/t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": Remote(
            f"{_MNIST}/t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": Remote(
            f"{_FASHION}/train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": Remote(
            f"{_FASHION}/train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": Remote(
            f"{_FASHION}/t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": Remote(
            f"{_FASHION}/t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    },
    "cifar10": {
        "cifar-10-binary.tar.gz": Remote(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            holds=(*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
        ),
    },
}


def download(
    name: str,
    *,
    sources: Mapping[str, Mapping[str, Remote]] = SOURCES,
    into: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch what is missing of the data set `name` into the cache; gives its folder.

    A download that broke off goes on where it ended.

    Raises:
        UserError: There is no official address of this data set here.
        EnvironmentFault: No connection; may be retried.
        Unreadable: What came has another sha256; it was thrown away.
    """
    if name not in sources:
        known = ", ".join(sources)
        raise UserError(f"'{name}' has no official address that edgekit knows; it knows {known}.", hint="--data DIR")
    folder = (into or cache_folder()) / name
    told = progress or Silent()
    for done, (file, remote) in enumerate(sources[name].items(), start=1):
        if not all((folder / name).is_file() for name in remote.holds or (file,)):
            fetch(remote, folder / file)
            if remote.holds:
                unpack(folder / file, remote.holds)
        told.step(done, len(sources[name]), file)
    return folder


def unpack(path: Path, names: tuple[str, ...]) -> None:
    """Put the files called `names`, whatever folder the tar has them in, beside it, and remove the tar.

    Raises:
        Unreadable: It is damaged, lacks one, or one is larger than a data file can be.
    """
    left = set(names)
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                name = PurePosixPath(entry.name).name
                stream = archive.extractfile(entry) if name in left and entry.isfile() else None
                if stream is not None:
                    write_atomic(path.with_name(name), _limited(stream, entry.size, f"{path}: {name}"))
                    left.discard(name)
    except (tarfile.TarError, EOFError, zlib.error) as err:
        raise Unreadable(f"'{path}' is truncated or damaged: {err}.", hint=f"rm {path}") from err
    if left:
        raise Unreadable(f"'{path}' holds no '{min(left)}'.", hint=f"rm {path}")
    path.unlink()


def _limited(stream: IO[bytes], size: int, name: str) -> bytes:
    if size > _MAX_FILE_BYTES:
        raise Unreadable(f"'{name}' has {size:,} bytes, more than {_MAX_FILE_BYTES:,}.")
    return stream.read(_MAX_FILE_BYTES)


def fetch(remote: Remote, path: Path) -> None:
    """Fetch one file to `path`, at once or not at all; the part that came before a break is kept beside it."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(remote, part)
        if sha256_file(part) != remote.sha256:
            part.unlink()
            raise Unreadable(
                f"'{remote.address}' gave another file than expected: its sha256 is not {remote.sha256[:12]}….",
                hint="Try again; if it stays, put the files in place and name the folder with --data DIR.",
            )
        part.replace(path)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as err:
        reason = getattr(err, "reason", err)
        raise EnvironmentFault(
            f"Cannot fetch '{remote.address}': {reason}.", hint="Try again, or name a folder with --data DIR."
        ) from err
    except OSError as err:
        raise from_os_error(err, f"writing '{path}'") from err


def _append(remote: Remote, part: Path) -> None:
    """Add to `part` what is missing; begin anew where the server does not go on in the middle."""
    if not remote.address.startswith(("https://", "http://127.0.0.1")):
        raise UserError(f"'{remote.address}' is not an https address.")
    size = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(remote.address, headers={"Range": f"bytes={size}-"} if size else {})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - checked above
            mode = "ab" if answer.status == http.HTTPStatus.PARTIAL_CONTENT else "wb"
            with part.open(mode) as sink:
                while chunk := answer.read(_CHUNK_BYTES):
                    sink.write(chunk)
            if answer.length:  # what was announced and did not come; reading in pieces does not tell
                raise ConnectionError(f"it broke off {answer.length} bytes before its end")
    except urllib.error.HTTPError as err:
        # 416: the part is the whole file already; its digest decides.
        if err.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
