"""The other readers of data sets, on small files of the same layout."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import wave
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.core.errors import Unreadable
from edgekit.train.data.cifar import JPEG, cifar10, read_binary
from edgekit.train.data.cifar import LABELS as OBJECTS
from edgekit.train.data.speech import LABELS, speech_commands12
from edgekit.train.data.tables import ETT_COLUMNS, NAB_SERIES, ett, machine_temperature
from edgekit.train.data.text import PAIRS, decoded, multi30k, rt_polarity, vocabulary

RANDOM = np.random.default_rng(0)


def jpeg(row: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(row).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(data, "JPEG")
    return data.getvalue()


def write_images(path: Path, rows: dict[str, int]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, row in rows.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(jpeg(row))
            archive.addfile(entry, io.BytesIO(jpeg(row)))


def test_cifar_leaves_out_training_images_that_are_test_images(tmp_path: Path) -> None:
    rows = {
        f"train/{name}/{number}.jpg": 100 * number + kind for number in range(30) for kind, name in enumerate(OBJECTS)
    }
    rows |= {f"test/{name}/0.jpg": kind for kind, name in enumerate(OBJECTS)}
    write_images(tmp_path / JPEG, rows)

    found = cifar10(tmp_path)

    assert found.validation is not None
    assert len(found.train) + len(found.validation) == 290
    assert found.test.inputs["image"].shape == (10, 3, 32, 32)


@pytest.mark.parametrize(
    ("name", "message"), [("train/unicorn/0.jpg", "unknown class 'unicorn'"), ("train/cat/0.jpg", "no 'test' images")]
)
def test_a_tar_of_other_images_is_refused(tmp_path: Path, name: str, message: str) -> None:
    write_images(tmp_path / JPEG, {name: 0})

    with pytest.raises(Unreadable, match=message):
        cifar10(tmp_path)


def test_a_truncated_tar_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / JPEG, {"train/cat/0.jpg": 0, "test/cat/0.jpg": 1})
    data = (tmp_path / JPEG).read_bytes()
    (tmp_path / JPEG).write_bytes(data[: len(data) // 2])

    with pytest.raises(Unreadable, match="truncated or damaged"):
        cifar10(tmp_path)


def test_official_binary_records_are_read(tmp_path: Path) -> None:
    record = bytes([7]) + bytes(range(256)) * 12
    (tmp_path / "batch.bin").write_bytes(record * 3)

    images, labels = read_binary(tmp_path / "batch.bin")

    assert images.shape == (3, 3, 32, 32)
    assert labels.tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "0 bytes"), (b"\1" * 3000, "not a multiple of 3073"), (b"\x0b" * 3073, "has label 11")]
)
def test_damaged_binary_records_are_named(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "batch.bin").write_bytes(data)

    with pytest.raises(Unreadable, match=message):
        read_binary(tmp_path / "batch.bin")


def wav(count: int) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(RANDOM.integers(-9999, 9999, count).astype("<i2").tobytes())
    return data.getvalue()


def write_speech(folder: Path, *, clip: bytes | None = None) -> None:
    lines = ["file,label,speaker,split"]
    with zipfile.ZipFile(folder / "speech_commands12_subset.zip", "w") as archive:
        for label in LABELS:
            for split in ("train", "val", "test"):
                lines.append(f"{label}/{split}.wav,{label},speaker,{split}")
                archive.writestr(f"{label}/{split}.wav", clip or wav(15_000))
    (folder / "labels.csv").write_text("\n".join(lines))


def test_speech_is_split_as_its_table_says(tmp_path: Path) -> None:
    write_speech(tmp_path)

    found = speech_commands12(tmp_path)

    assert found.validation is not None
    assert [len(part) for part in (found.train, found.validation, found.test)] == [12, 12, 12]
    assert found.train.inputs["audio"].shape == (12, 16_000)
    assert float(np.abs(found.train.inputs["audio"][:, 15_000:]).max()) == 0.0


def test_a_damaged_clip_is_named(tmp_path: Path) -> None:
    write_speech(tmp_path, clip=b"RIFFxxxx")

    with pytest.raises(Unreadable, match=r"train\.wav' is not a wav file"):
        speech_commands12(tmp_path)


def test_sentences_are_split_without_leaks_and_words_come_from_the_training_split(tmp_path: Path) -> None:
    known = [f"word{number}" for number in range(40)]
    for name in ("rt-polarity.pos", "rt-polarity.neg"):
        lines = [" ".join(RANDOM.choice(known, 9)) + f" only{row}{name[-1]}" for row in range(200)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")

    found = rt_polarity(tmp_path)

    assert found.validation is not None
    assert len(found.train) + len(found.validation) + len(found.test) == 400
    assert found.facts["vocabulary"][:2] == ("<pad>", "<unknown>")
    assert set(found.facts["vocabulary"][4:]) == set(known)


def test_a_vocabulary_keeps_the_most_frequent_words() -> None:
    assert vocabulary([["b", "a", "b"], ["a", "b", "c", "c"]], 6)[4:] == ("b", "a")


def write_pairs(folder: Path, *, short: str = "") -> None:
    for name in PAIRS:
        count = 5 - (name == short)
        text = "".join(f"Ein Satz ein Satz {row}.\n" for row in range(count))
        (folder / name).write_bytes(gzip.compress(text.encode()))


def test_pairs_of_sentences_are_shifted_and_keep_their_references(tmp_path: Path) -> None:
    write_pairs(tmp_path)

    found = multi30k(tmp_path)

    assert np.array_equal(found.train.inputs["written"][:, 1:5], found.train.targets["logits"][:, :4])
    assert decoded(found.test.targets["reference"][2]) == "Ein Satz ein Satz 2."


def test_pairs_of_unequal_length_are_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path, short="train.de.gz")

    with pytest.raises(Unreadable, match="5 English and 4 German lines"):
        multi30k(tmp_path)


def test_hours_to_forecast_follow_their_history(tmp_path: Path) -> None:
    rows = 20 * 30 * 24
    times = [datetime(2016, 7, 1) + timedelta(hours=hour) for hour in range(rows)]
    text = "\n".join(f"{time}," + ",".join([str(row)] * 7) for row, time in enumerate(times))
    (tmp_path / "ETTh1.csv").write_text(f"date,{','.join(ETT_COLUMNS)}\n{text}\n")

    found = ett(tmp_path)

    assert found.train.inputs["history"].shape == (8640 - 96 - 24 + 1, 96, 7)
    assert found.train.targets["forecast"][0].tolist() == list(range(96, 120))
    assert found.train.targets["forecast"].max() == 8639
    assert found.test.targets["forecast"].min() == 16 * 720


@pytest.mark.parametrize(("text", "message"), [("date,HUFL\n", "no column 'HULL'"), ("", "no column 'date'")])
def test_a_table_without_its_columns_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ETTh1.csv").write_text(text)

    with pytest.raises(Unreadable, match=message):
        ett(tmp_path)


def test_windows_that_touch_a_fault_are_positive(tmp_path: Path) -> None:
    series = tmp_path / "data" / NAB_SERIES
    series.parent.mkdir(parents=True)
    times = [datetime(2014, 1, 1) + timedelta(minutes=5 * row) for row in range(4000)]
    series.write_text("timestamp,value\n" + "\n".join(f"{time},{row % 7}.5" for row, time in enumerate(times)))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "combined_windows.json").write_text(
        json.dumps({NAB_SERIES: [[str(times[2000]), str(times[2100])]]})
    )

    found = machine_temperature(tmp_path)

    assert found.test.labels is not None
    starts = 600 + 6 * np.flatnonzero(found.test.labels)
    # A day of 288 rows that begins at row 1713 ends at the first faulty row; days begin at multiples of 6.
    assert starts.tolist() == list(range(1716, 2101, 6))
