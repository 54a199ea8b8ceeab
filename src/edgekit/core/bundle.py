"""Bundle: a folder, or a zip file `NAME.edgekit`, with artifacts and everything needed to use them."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edgekit.core.errors import DISK_ERRORS, BundleUnreadable, EdgekitError, from_os_error, unknown
from edgekit.core.recipe import matches
from edgekit.core.samples import Samples, SplitFacts
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import DTYPES, TensorSpec
from edgekit.core.system import documents
from edgekit.core.system.documents import Document
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.files import new_output, read_bytes, sha256_bytes, sha256_file, zip_entry

if TYPE_CHECKING:
    import zipfile

# 1: first version.
BUNDLE_SCHEMA: Final = 1
MANIFEST: Final = "manifest.json"
# An OpenSSH signature of the manifest, which lists every other file; the manifest cannot list it.
SIGNATURE: Final = f"{MANIFEST}.sig"
_LARGEST_AXIS: Final = 1 << 40
_LONGEST: Final = 200
# Outputs that edgekit only passes on: text of a fixed length, and complex numbers.
_NUMPY_DTYPE: Final = re.compile(r"[<>]U\d{1,6}|complex(64|128)")
SAMPLES: Final = "samples.npz"
CASES: Final = "cases.npz"
WEIGHTS: Final = "weights.safetensors"
SUFFIX: Final = ".edgekit"
# What `edgekit tune` chose is next to a bundle, or inside one that was packed with it.
TUNING: Final = "tuning.json"
MAX_UNPACKED_BYTES: Final = 8 << 30
MAX_ENTRIES: Final = 10_000


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fixed-shape entry point of a TFLite file: its name and the size of every dynamic axis."""

    name: str
    sizes: dict[str, int] = {}


class QuantizedShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a file is quantized, read from the file.

    `weights` is the share of the weights that is stored in 8 bits or fewer. `work` is the share of the multiplications
    by weights whose operands are integers, `wide` the part of it in which one has 16 bits. Null is not known, with the
    reason.
    """

    weights: float | None
    work: float | None
    wide: float = 0.0
    reason: str = ""


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file made by one recipe, described by reading it back.

    `record` is how it was made: recipe, options, tool versions, calibration checksum; `id` is the sha256 of the record.
    `inputs` and `outputs` carry the artifact's own tensor names, in the order of the ModelSpec. `quantized` is null for
    float32 and float16.
    """

    recipe: str
    file: str
    format: str
    precision: str
    size_bytes: int
    sha256: str
    id: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int | None = None
    layout: str = ""
    signatures: tuple[Signature, ...] = ()
    record: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    quantized: QuantizedShare | None = None


class FileRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and checksum of one file in a bundle."""

    sha256: str
    size_bytes: int


class Manifest(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle contains. `files` lists every file except the manifest, by its path with forward slashes.

    `digest` is the sha256 of the manifest itself, computed with this field empty. It detects damage, not forgery.
    Equal inputs and equal `tools` give an equal manifest, so `created` is empty unless SOURCE_DATE_EPOCH names a time.
    """

    spec: ModelSpec
    artifacts: tuple[Artifact, ...]
    files: dict[str, FileRecord]
    created: str
    tools: dict[str, str] = {}
    source: dict[str, str] = {}
    split: SplitFacts | None = None
    digest: str = ""
    schema_version: int = BUNDLE_SCHEMA


class Bundle:
    """An open bundle whose checksums all match. A context manager: a zip file stays unpacked only while it is open."""

    def __init__(
        self, path: Path, root: Path, manifest: Manifest, unpacked: tempfile.TemporaryDirectory[str] | None
    ) -> None:
        self.path = path
        self.root = root
        self.manifest = manifest
        self._unpacked = unpacked

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Open a bundle folder or `.edgekit` file.

        Raises:
            BundleUnreadable: Not a bundle, damaged or modified, or of a newer schema (with the upgrade command).
        """
        _refuse_other(path)
        with contextlib.ExitStack() as undo:
            try:
                unpacked = temporary_folder() if path.is_file() else None
                root = path
                if unpacked is not None:
                    undo.callback(unpacked.cleanup)
                    root = Path(unpacked.name)
                    _unpack(path, root)
                manifest = _read_manifest(path, root)
                _check_contents(path, manifest)
                _check_files(path, root, manifest)
                if unpacked is not None:
                    _refuse_unlisted(path, root, manifest)
            except OSError as err:
                raise from_os_error(err, f"opening '{path}'") from err
            undo.pop_all()
        return cls(path, root, manifest, unpacked)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the unpacked files; the bundle itself stays."""
        if self._unpacked is not None:
            self._unpacked.cleanup()

    @property
    def spec(self) -> ModelSpec:
        """The spec of the model that the bundle was made from."""
        return self.manifest.spec

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Every artifact, in the order in which they were requested."""
        return self.manifest.artifacts

    def artifact(self, name: str) -> Artifact:
        """The artifact made by recipe `name`, or the first one that this alias covers.

        Raises:
            UserError: The bundle contains none; the message suggests the nearest name.
        """
        for artifact in self.artifacts:
            if matches(name, artifact.recipe):
                return artifact
        raise unknown("artifact", name, [artifact.recipe for artifact in self.artifacts])

    def file(self, artifact: Artifact) -> Path:
        """The path of the artifact's file."""
        return self.root / artifact.file

    def samples(self) -> Samples | None:
        """The samples in the bundle, with reference outputs; None if it has none. Raises BundleUnreadable."""
        has_any = SAMPLES in self.manifest.files
        return Samples.load(self.root / SAMPLES, BundleUnreadable, self.spec) if has_any else None


def _refuse_other(path: Path) -> None:
    """Raise for what is not there, and for a model file, which only becomes a bundle."""
    is_model = path.suffix in (".onnx", ".tflite")
    if is_model and path.is_file():
        made = shlex.join(["edgekit", "export", str(path), "--out", f"{path.stem}-bundle"])
        raise BundleUnreadable(f"'{path}' is a model file, not a bundle.", hint=made)
    if not path.exists() and is_model:
        raise BundleUnreadable(f"There is no file '{path}'.", hint="edgekit export SOURCE --out BUNDLE")
    if not path.exists():
        made = f"edgekit export SOURCE --out {shlex.quote(str(path))}"
        raise BundleUnreadable(f"There is no bundle at '{path}'.", hint=made)


def write_manifest(root: Path, manifest: Manifest) -> Manifest:
    """Add the checksums of the files under `root` and its own to `manifest`, and write it there."""
    files = {
        path.relative_to(root).as_posix(): FileRecord(sha256_file(path), path.stat().st_size)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path not in (root / MANIFEST, root / SIGNATURE)
    }
    complete = msgspec.structs.replace(manifest, files=files)
    complete = msgspec.structs.replace(complete, digest=_digest(complete))
    documents.write(root / MANIFEST, complete)
    return complete


def tuning_file(bundle: Path) -> Path:
    """`NAME.tuning.json` next to the bundle NAME or NAME.edgekit, or next to a bare file."""
    whole = bundle.absolute()
    return whole.with_name(f"{whole.name.removesuffix(SUFFIX)}.{TUNING}")


def artifact_id(record: dict[str, Any]) -> str:
    """The sha256 of the record of how an artifact was made."""
    return sha256_bytes(documents.canonical(record))


def pack(
    bundle: Bundle,
    out: Path,
    *,
    force: bool = False,
    more: Mapping[str, bytes] = MappingProxyType({}),
    only: Artifact | None = None,
) -> Path:
    """Write `bundle` as one uncompressed zip file with fixed time stamps, so that equal bundles give equal files.

    A signature stays with the bundle that it signs; a new bundle has none.

    Args:
        more: Files to add, by name. The result is a new bundle, whose manifest lists them as well.
        only: The one artifact to keep. The result is a new bundle without the others and without the weights.
    """
    import zipfile

    manifest = _with_only(bundle.manifest, only) if only else bundle.manifest
    manifest = _with_files(manifest, more) if more else manifest
    is_whole = manifest is bundle.manifest
    head = {MANIFEST: (bundle.root / MANIFEST).read_bytes() if is_whole else documents.encode(manifest)}
    if is_whole and (bundle.root / SIGNATURE).is_file():
        head[SIGNATURE] = (bundle.root / SIGNATURE).read_bytes()
    with new_output(out, force=force) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, data in head.items():
            archive.writestr(zip_entry(name), data)
        for name in sorted(manifest.files):
            archive.writestr(zip_entry(name), more[name] if name in more else (bundle.root / name).read_bytes())
    return out


def _with_files(manifest: Manifest, more: Mapping[str, bytes]) -> Manifest:
    """The manifest of a bundle that holds `more` as well."""
    added = {name: FileRecord(sha256_bytes(data), len(data)) for name, data in more.items()}
    complete = msgspec.structs.replace(manifest, files={**manifest.files, **added})
    return msgspec.structs.replace(complete, digest=_digest(complete))


def _with_only(manifest: Manifest, artifact: Artifact) -> Manifest:
    """The manifest of a bundle that holds this artifact alone, without the weights that it was made from."""
    others = {one.file for one in manifest.artifacts if one.file != artifact.file}
    left_out = {WEIGHTS, *others, *(f"{name}.data" for name in others)}
    files = {name: record for name, record in manifest.files.items() if name not in left_out}
    complete = msgspec.structs.replace(manifest, artifacts=(artifact,), files=files)
    return msgspec.structs.replace(complete, digest=_digest(complete))


def _digest(manifest: Manifest) -> str:
    return _digest_of(msgspec.json.encode(manifest))


def _digest_of(data: bytes) -> str:
    """The digest of a manifest as it is in the file: fields that were added since then do not change it."""
    return sha256_bytes(documents.canonical({**msgspec.json.decode(data), "digest": ""}))


def _read_manifest(path: Path, root: Path) -> Manifest:
    if not (root / MANIFEST).is_file() or (root / MANIFEST).is_symlink():
        inner = [f"Its bundle is '{one.parent}'." for one in sorted(root.glob(f"*/{MANIFEST}"))]
        raise BundleUnreadable(f"'{path}' is not a bundle: it has no {MANIFEST}.", hint=" ".join(inner[:1]))
    data = read_bytes(root / MANIFEST, BundleUnreadable)
    what = f"The {MANIFEST} of bundle '{path}'"
    manifest = documents.decode(data, Manifest, what=what, newest=BUNDLE_SCHEMA, error=BundleUnreadable)
    if manifest.digest != _digest_of(data):
        raise BundleUnreadable(f"Bundle '{path}' was modified: the checksum of '{MANIFEST}' does not match.")
    return manifest


def _check_contents(path: Path, manifest: Manifest) -> None:
    """Raise for names and sizes that no exporter writes, and that commands would stumble over later."""
    spec = manifest.spec
    tensors = [*spec.inputs, *spec.outputs]
    tensors += [tensor for one in manifest.artifacts for tensor in (*one.inputs, *one.outputs)]
    for tensor in tensors:
        if any(isinstance(axis, int) and not 0 <= axis <= _LARGEST_AXIS for axis in tensor.shape):
            message = f"Bundle '{path}' is inconsistent: '{tensor.name}' has shape {list(tensor.shape)}."
            raise BundleUnreadable(message)
    for tensor in (*spec.inputs, *spec.outputs):
        if tensor.dtype not in DTYPES and not _NUMPY_DTYPE.fullmatch(tensor.dtype):
            raise BundleUnreadable(f"Bundle '{path}' is inconsistent: '{tensor.name}' has type '{tensor.dtype}'.")
    for axis, sizes in spec.sizes.items():
        if not sizes or not all(0 < size <= _LARGEST_AXIS for size in sizes):
            raise BundleUnreadable(f"Bundle '{path}' is inconsistent: axis '{axis}' has sizes {list(sizes)}.")
    for artifact in manifest.artifacts:
        # People type these names, and tables begin with them.
        if not artifact.recipe.isprintable() or len(artifact.recipe.split()) != 1 or len(artifact.recipe) > _LONGEST:
            raise BundleUnreadable(f"Bundle '{path}' is inconsistent: '{artifact.recipe[:_LONGEST]}' is not a recipe.")


def _is_linked(root: Path, name: str) -> bool:
    """Whether the file, or a folder below `root` that leads to it, is a link: its content is outside of the bundle."""
    file = root / name
    return any(part.is_symlink() for part in (file, *file.parents[: len(PurePosixPath(name).parts) - 1]))


def _refuse_unlisted(path: Path, root: Path, manifest: Manifest) -> None:
    """Raise for a file in a packed bundle that no checksum covers."""
    named = {*manifest.files, MANIFEST, SIGNATURE}
    for file in sorted(root.rglob("*")):
        name = file.relative_to(root).as_posix()
        if file.is_file() and name not in named:
            raise BundleUnreadable(f"'{path}' contains '{name}', which its manifest does not list.")


def _check_files(path: Path, root: Path, manifest: Manifest) -> None:
    for name, record in manifest.files.items():
        _check_name(path, name)
        file = root / name
        if not file.is_file() or _is_linked(root, name):
            raise BundleUnreadable(f"Bundle '{path}' is incomplete: '{name}' is missing.")
        if file.stat().st_size != record.size_bytes or sha256_file(file) != record.sha256:
            raise BundleUnreadable(
                f"Bundle '{path}' was modified: the checksum of '{name}' does not match its manifest."
            )
    for artifact in manifest.artifacts:
        known = manifest.files.get(artifact.file)
        if known is None or known.sha256 != artifact.sha256:
            raise BundleUnreadable(
                f"Bundle '{path}' is inconsistent: no file matches the checksum of artifact '{artifact.recipe}'."
            )


def _unpack(path: Path, root: Path) -> None:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            for entry in _checked_entries(path, archive):
                target = root / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("xb") as sink:
                    shutil.copyfileobj(source, sink)
    except EdgekitError:
        raise
    # A damaged zip makes zipfile and its decompressors raise a dozen unrelated classes; a disk has its own errors.
    except Exception as err:
        if isinstance(err, OSError) and err.errno in DISK_ERRORS:
            raise from_os_error(err, f"unpacking '{path}'") from err
        raise BundleUnreadable(f"'{path}' is not a bundle, or is damaged: {err}.") from err


def _checked_entries(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Every file, when there is no link, no odd path and no size beyond the limits: all is checked before unpacking."""
    entries = archive.infolist()
    # A bundle cut short can look like the whole zip of the samples inside it.
    if MANIFEST not in archive.namelist():
        raise BundleUnreadable(f"'{path}' is not a bundle, or is damaged: it has no {MANIFEST}.")
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        limits = f"{MAX_ENTRIES:,} files and {MAX_UNPACKED_BYTES >> 30} GiB"
        raise BundleUnreadable(f"'{path}' is too large: a bundle unpacks to at most {limits}.")
    if len({PurePosixPath(entry.filename) for entry in entries}) < len(entries):
        raise BundleUnreadable(f"'{path}' contains two files with the same name.")
    for entry in entries:
        _check_name(path, entry.filename)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BundleUnreadable(f"'{path}' contains a link: '{entry.filename}'.")
    return [entry for entry in entries if not entry.is_dir()]


def _check_name(path: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise BundleUnreadable(f"'{path}' contains a path outside the bundle: '{name}'.")
