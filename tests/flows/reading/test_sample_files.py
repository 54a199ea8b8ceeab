"""Samples are taken as people have them: ten kinds of files and folders, and what is wrong with one is said."""

from __future__ import annotations

import importlib
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.core.errors import MissingExtra, UserError
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, Preprocessing
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.flows.reading import sample_folders
from edgekit.flows.reading.sample_files import read_held
from edgekit.flows.reading.sample_inputs import inputs_of
from edgekit.flows.reading.user_samples import UserModel, with_samples

HOW = ImageInput(4, 4, divisor=1.0)
CLASSES = [0, 1, 0, 1, 1, 0]
NAMES = ("cat", "dog")
# Read as pixels: sample i is an image, a sound or a row of this value.
VALUES = [10, 20, 30, 40, 50, 60]


def opened(path: Path, how: Preprocessing | None = None, labels: tuple[str, ...] = ()) -> UserModel:
    """The model as its samples describe it, for a user who names no input."""
    held = read_held(path, how, labels)
    made = how or held.preprocessing
    extra = {} if how is None else {"preprocessing": how}
    return with_samples(ModelSpec("net", "other", inputs_of(held, made), labels=labels, **extra), held)  # type: ignore[arg-type]  # one field


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)


def sound(path: Path, value: int, *, length: int = 8, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.full(length, value, "<i2").tobytes())


def by_class(folder: Path, write: Callable[[Path, int], None], suffix: str) -> Path:
    """Files in a folder per class; in sorted order, cats come first."""
    for value, label in zip(VALUES, CLASSES, strict=True):
        write(folder / NAMES[label] / f"{value}{suffix}", value)
    return folder


def listed(folder: Path, header: str, labels: list[str]) -> Path:
    rows = [f"{value}.png,{label}" for value, label in zip(VALUES, labels, strict=True)]
    for value in VALUES:
        picture(folder / f"{value}.png", value)
    (folder / "list.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def table(path: Path, label: str, labels: list[str], separator: str = ",") -> Path:
    rows = [separator.join(("a", label, "b"))]
    rows += [separator.join((str(value), one, "0.5")) for value, one in zip(VALUES, labels, strict=True)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


X = np.repeat(np.array(VALUES, np.float32)[:, None], 2, axis=1)
TEXTS = [NAMES[label] for label in CLASSES]
SORTED = [10, 30, 60, 20, 40, 50]


def as_npz(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "s.npz", **arrays)  # type: ignore[arg-type]  # arrays
    return folder / "s.npz"


def as_npy(folder: Path) -> Path:
    np.save(folder / "s.npy", X)
    return folder / "s.npy"


def one_picture(folder: Path) -> Path:
    picture(folder / "p" / "one.png", VALUES[0])
    return folder / "p"


@dataclass(frozen=True)
class Kind:
    """One kind of samples: how it is made, the only input it has, the first value of each sample, and its classes."""

    name: str
    make: Callable[[Path], Path]
    input: str
    values: list[int]
    classes: list[int] | None
    class_names: tuple[str, ...] = ()
    how: Preprocessing | None = None


KINDS = [
    Kind("npz with labels", lambda at: as_npz(at, feat=X, labels=CLASSES), "feat:float32[N,2]", VALUES, CLASSES),
    Kind("npz without names", lambda at: as_npz(at, arr_0=X, y=CLASSES), "x:float32[N,2]", VALUES, CLASSES),
    Kind("npy", as_npy, "x:float32[N,2]", VALUES, None),
    Kind(
        "csv with class indices",
        lambda at: table(at / "t.csv", "label", [str(one) for one in CLASSES]),
        "x:float32[N,2]",
        VALUES,
        CLASSES,
    ),
    Kind(
        "csv with class names and semicolons",
        lambda at: table(at / "t.csv", "target", TEXTS, ";"),
        "x:float32[N,2]",
        VALUES,
        CLASSES,
        NAMES,
    ),
    Kind(
        "images by subfolder, as of torchvision's ImageFolder",
        lambda at: by_class(at / "photos", picture, ".png"),
        "image:float32[N,3,4,4]",
        SORTED,
        [0, 0, 0, 1, 1, 1],
        NAMES,
        HOW,
    ),
    Kind(
        "images with a csv beside",
        lambda at: listed(at, "file,label", TEXTS),
        "image:float32[N,3,4,4]",
        VALUES,
        CLASSES,
        NAMES,
        HOW,
    ),
    Kind(
        "a csv that lists images",
        lambda at: listed(at, "file_name,label", [str(one) for one in CLASSES]) / "list.csv",
        "image:float32[N,3,4,4]",
        VALUES,
        CLASSES,
        (),
        HOW,
    ),
    Kind(
        "sounds by subfolder",
        lambda at: by_class(at / "sounds", sound, ".wav"),
        "audio:float32[N,8]",
        SORTED,
        [0, 0, 0, 1, 1, 1],
        NAMES,
    ),
    Kind(
        "sounds of another length than the input",
        lambda at: by_class(at / "sounds", sound, ".wav"),
        "audio:float32[N,12]",
        SORTED,
        [0, 0, 0, 1, 1, 1],
        NAMES,
        AudioInput(8000, 12),
    ),
    Kind(
        "a folder of images without classes",
        one_picture,
        "image:float32[N,3,4,4]",
        VALUES[:1],
        None,
        (),
        HOW,
    ),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_ten_kinds_of_samples_are_read_without_naming_an_input(kind: Kind, tmp_path: Path) -> None:
    found = opened(kind.make(tmp_path), kind.how)

    (tensor,) = found.spec.inputs
    first = found.samples.inputs[tensor.name].reshape(len(found.samples), -1)[:, 0]
    scale = 32768 if tensor.name == "audio" else 1
    assert str(tensor) == kind.input
    assert (first * scale).round().tolist() == kind.values
    assert (None if found.samples.labels is None else found.samples.labels.tolist()) == kind.classes
    assert found.spec.labels == kind.class_names


def test_a_folder_of_sounds_says_how_it_was_read(tmp_path: Path) -> None:
    sound(tmp_path / "s" / "short.wav", 1, length=5)
    sound(tmp_path / "s" / "long.wav", 2, length=9)

    assert opened(tmp_path / "s").spec.preprocessing == AudioInput(8000, 9)


def test_the_order_of_given_names_decides_which_index_a_subfolder_has(tmp_path: Path) -> None:
    found = opened(by_class(tmp_path / "photos", picture, ".png"), HOW, ("owl", "dog", "cat"))

    assert found.samples.labels is not None
    assert found.samples.labels.tolist() == [2, 2, 2, 1, 1, 1]
    assert found.spec.labels == ("owl", "dog", "cat")


def test_a_csv_of_real_targets_is_a_regression(tmp_path: Path) -> None:
    found = opened(table(tmp_path / "t.csv", "y", [f"{value}.5" for value in VALUES]))

    assert found.samples.labels is None
    assert found.samples.targets[""].tolist() == [value + 0.5 for value in VALUES]


def test_of_more_photos_than_fit_an_even_share_is_read_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_folders, "MOST_BYTES", 4 * 3 * 4 * 4 * 4)

    found = opened(by_class(tmp_path / "photos", picture, ".png"), HOW)

    assert len(found.samples) == 4
    assert found.samples.labels is not None
    assert found.samples.labels.tolist() == [0, 0, 1, 1]
    assert "6 files" in found.warnings[0]
    assert "4 were read" in found.warnings[0]


def with_text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def loose(folder: Path) -> Path:
    picture(by_class(folder / "photos", picture, ".png") / "loose.png", 1)
    return folder / "photos"


def splits(folder: Path) -> Path:
    for name in ("train", "val"):
        by_class(folder / "data" / name, picture, ".png")
    return folder / "data"


def mixed(folder: Path) -> Path:
    picture(folder / "m" / "a.png", 1)
    sound(folder / "m" / "b.wav", 1)
    return folder / "m"


def rates(folder: Path) -> Path:
    sound(folder / "r" / "a.wav", 1)
    sound(folder / "r" / "b.wav", 1, rate=16000)
    return folder / "r"


def empty(folder: Path) -> Path:
    (folder / "e").mkdir()
    return folder / "e"


@pytest.mark.parametrize(
    ("make", "how", "message", "hint"),
    [
        (empty, HOW, "contains no images or sounds", "--samples FILE.npz"),
        (loose, HOW, "'loose.png' next to subfolders", "labels.csv with the columns file,label"),
        (splits, HOW, "are splits, not classes", "data/val"),
        (mixed, HOW, "images and sounds", ""),
        (rates, None, "several rates: 8000, 16000 Hz", ""),
        (lambda at: by_class(at / "p", picture, ".png"), None, "--preprocess says how", "--preprocess 'resize=256"),
        (lambda at: by_class(at / "s", sound, ".wav"), HOW, "--preprocess is for images", "Omit --preprocess."),
        (lambda at: with_text(at / "t.csv", "1,2\n3,4\n"), None, "must begin with one different name", "feature_1"),
        (lambda at: with_text(at / "t.csv", "a,b\n"), None, "has no rows", ""),
        (lambda at: with_text(at / "t.csv", "a,b\n1,2\n3\n"), None, "row 3: 1 values for 2 columns", ""),
        (lambda at: with_text(at / "t.csv", "a,b\n1,red\n"), None, "row 2: 'red' in column 'b'", "call it 'label'"),
        (lambda at: with_text(at / "t.csv", "a,y,label\n1,2,3\n"), None, "columns 'label' and 'y'", "Rename"),
        (lambda at: with_text(at / "t.csv", "label\n1\n"), None, "no column of numbers besides 'label'", ""),
        (lambda at: with_text(at / "t.csv", "file,label\nx.png,1\n"), HOW, "'x.png', which does not exist", ""),
        (lambda at: with_text(at / "t.npy", "no array"), None, "is not an .npy file of plain numbers", "numpy.save"),
        (lambda at: with_text(at / "t.pt", "a"), None, "must be an .npz, .npy or .csv, or a folder", "torch.load"),
        (lambda at: as_npz(at, label=CLASSES), None, "labels but no input", "x=inputs"),
    ],
)
def test_what_cannot_be_samples_is_said_with_what_to_do(
    make: Callable[[Path], Path], how: Preprocessing | None, message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        opened(make(tmp_path), how)

    assert hint in caught.value.hint


def arrow_folder(folder: Path) -> Path:
    """What `datasets.Dataset.save_to_disk` writes around its data files."""
    folder.mkdir()
    (folder / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}', "utf-8")
    feature = '{"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}'
    (folder / "dataset_info.json").write_text(f'{{"features": {feature}}}', "utf-8")
    return folder


def test_a_data_set_of_hugging_face_needs_a_package_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(MissingExtra, match="pyarrow"):
        read_held(arrow_folder(tmp_path / "saved"))


def test_a_data_set_of_hugging_face_becomes_inputs_labels_and_class_names(tmp_path: Path) -> None:
    pyarrow = importlib.import_module("pyarrow")
    folder = arrow_folder(tmp_path / "saved")
    pictures = []
    for value in VALUES:
        picture(tmp_path / "one.png", value)
        pictures.append({"bytes": (tmp_path / "one.png").read_bytes(), "path": None})
    columns = pyarrow.table({"image": pictures, "label": CLASSES})
    with pyarrow.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), columns.schema) as writer:
        writer.write_table(columns)

    found = opened(folder, HOW)

    assert str(found.spec.inputs[0]) == "image:float32[N,3,4,4]"
    assert found.samples.inputs["image"][:, 0, 0, 0].tolist() == VALUES
    assert found.samples.labels is not None
    assert found.samples.labels.tolist() == CLASSES
    assert found.spec.labels == NAMES


def test_splits_of_hugging_face_are_no_samples(tmp_path: Path) -> None:
    arrow_folder(tmp_path / "test")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["test"]}', "utf-8")

    with pytest.raises(UserError, match="contains splits") as caught:
        read_held(tmp_path)

    assert caught.value.hint == f"--samples {tmp_path / 'test'}"
