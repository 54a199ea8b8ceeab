"""Opens samples as people have them: an .npz, an .npy, a table, a folder of files, a data set on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgekit.core.errors import UserError
from edgekit.core.samples import read_array, read_arrays
from edgekit.core.spec.input_kinds import Preprocessing
from edgekit.core.system.files import read_bytes
from edgekit.flows.reading.arrow_datasets import is_arrow_dataset, read_arrow_dataset
from edgekit.flows.reading.coco import COCO_SUFFIX, read_coco
from edgekit.flows.reading.held import UNNAMED, Held
from edgekit.flows.reading.mask_folders import CLASS_NAMES, read_masks
from edgekit.flows.reading.sample_folders import read_folder, read_list
from edgekit.flows.reading.sample_tables import file_column, read_table
from edgekit.flows.reading.transcript_files import contains_transcripts, read_transcripts

_KINDS: Final = "an .npz, .npy or .csv, or a folder of images or sounds"
_CONVERTED: Final = {
    ".pt": "numpy.savez(FILE, **{name: one.numpy() for name, one in torch.load(PATH).items()})",
    ".pth": "numpy.savez(FILE, **{name: one.numpy() for name, one in torch.load(PATH).items()})",
    ".pkl": "numpy.savez(FILE, x=inputs, label=class_indices)",
    ".mat": "numpy.savez(FILE, x=scipy.io.loadmat(PATH)['x'])",
    ".h5": "numpy.savez(FILE, x=h5py.File(PATH)['x'][:])",
    ".parquet": "pandas.read_parquet(PATH).to_csv(FILE, index=False)",
}


def read_held(
    path: Path, how: Preprocessing | None = None, labels: Sequence[str] = (), *, with_texts: bool = False
) -> Held:
    """The samples at `path`.

    Args:
        how: How an image or sound becomes an input; a folder of images needs it.
        labels: Names of the classes in index order, if the user gave them.
        with_texts: The model reads texts, so that columns of a table may contain some.

    Raises:
        UserError: Nothing there, a file of another kind, or one that is damaged.
        MissingExtra: A package that reads this kind is not installed.
    """
    if path.is_dir():
        return read_arrow_dataset(path, how) if is_arrow_dataset(path) else read_folder(path, how, labels)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return Held(path, {UNNAMED: read_array(path)})
    if suffix == ".csv":
        is_list = not with_texts and file_column(path)
        return read_list(path, how, labels) if is_list else read_table(path, labels, with_texts=with_texts)
    if suffix in _CONVERTED:
        raise UserError(f"Samples '{path}' must be {_KINDS}.", hint=_CONVERTED[suffix].replace("PATH", f"'{path}'"))
    return Held(path, read_arrays(path, UserError))


def read_described(
    path: Path, labels: Path | None, how: Preprocessing | None, known: Sequence[str] = (), *, with_texts: bool = False
) -> Held:
    """The samples at `path` with what `labels` says of them: names of classes or symbols, objects in COCO's form, texts
    of files, or a folder of masks.

    Args:
        known: Names of the classes where the file gives none; other arguments and errors as in `read_held`.
    """
    if labels is not None and labels.suffix.lower() == COCO_SUFFIX:
        if contains_transcripts(labels):
            return read_transcripts(path, labels, how)
        return read_coco(path, labels, how)
    if labels is not None and labels.is_dir():
        return read_masks(path, labels, how, label_names(labels) or known)
    return read_held(path, how, label_names(labels) or known, with_texts=with_texts)


def label_names(path: Path | None) -> tuple[str, ...]:
    """The class names in a file, one per line; none without a file, and in a .json.

    Those of a folder of masks are in its `labels.txt`, if it has one.
    """
    if path is not None and path.is_dir():
        path = path / CLASS_NAMES if (path / CLASS_NAMES).is_file() else None
    if path is None or path.suffix.lower() == COCO_SUFFIX:
        return ()
    lines = read_bytes(path).decode(errors="replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip())
