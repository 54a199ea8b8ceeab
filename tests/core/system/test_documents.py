"""Promises of core/system/documents.py, on every document type edgekit writes."""

from __future__ import annotations

import json
import math
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core import reports
from edgekit.core.bundle import BUNDLE_SCHEMA, Artifact, FileRecord, Manifest, Signature
from edgekit.core.errors import BundleUnreadable, Unreadable, UserError
from edgekit.core.facts import Facts
from edgekit.core.job import JOB_SCHEMA, Job, JobFailure, JobResult
from edgekit.core.measurement import Launch, Measurement, Trust
from edgekit.core.reports.report import (
    REPORT_SCHEMA,
    Accuracy,
    BudgetCheck,
    Estimate,
    Latency,
    Outcome,
    ParityCheck,
    Report,
)
from edgekit.core.samples import SplitFacts
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system import documents
from edgekit.core.system.documents import Document
from edgekit.core.system.installation import origin
from edgekit.core.verdict import Verdict

TENSOR = TensorSpec("x", "float32", ("N", 1, 8), low=0.0, high=1.0)
SPEC = ModelSpec(
    "m",
    "classification",
    (TENSOR,),
    sizes={"N": (1, 8)},
    metric=Metric("accuracy", 0.9),
    preprocessing=ImageInput(8, 8),
)
ARTIFACT = Artifact(
    "onnx-fp32",
    "m.onnx",
    "onnx",
    "fp32",
    9,
    "ab",
    "cd",
    (TENSOR,),
    (),
    18,
    "NCHW",
    (Signature("s", {"N": 1}),),
    {"a": 1},
)
ESTIMATE = Estimate(0.5, 0.4, 0.6, 8)
ABSENT = Estimate(None, reason="no labels")
FACTS = Facts("Linux", "x86_64", "cpu", 2, ("avx2",), missing={"governor": "no such file"})
DOCUMENTS = {
    "manifest": (Manifest(SPEC, (ARTIFACT,), {"m.onnx": FileRecord("ab", 9)}, "2026-11-21T00:00:00Z"), BUNDLE_SCHEMA),
    "report": (
        Report(
            command="build",
            created="2026-11-21T00:00:00Z",
            spec=SPEC,
            split=SplitFacts("digits", 10, 4, 6, 0, "a", "b", True),
            artifacts=(ARTIFACT,),
            parity=(ParityCheck("onnx-fp32", "local", "N=1", "y", "difference", 1e-7, 1e-4, Verdict.PASS),),
            accuracy=(Accuracy("onnx-fp32", "local", "accuracy", ESTIMATE, ESTIMATE, ABSENT),),
            measurements=(Measurement("local", "onnx-fp32", "latency", "s", (Launch(0, (0.001, 0.002)),)),),
            latency=(
                Latency(
                    "local", "onnx-fp32", {"N": 1}, {"p50": ESTIMATE}, ESTIMATE, ESTIMATE, ABSENT, Trust("A", ("r",))
                ),
            ),
            budgets=(
                BudgetCheck("size <= 1 kB", "onnx-fp32", "local", "size", "bytes", 1e3, ESTIMATE, Verdict.FAIL, 2.0),
            ),
            outcomes=(Outcome("local", Verdict.PASS, "onnx-fp32"),),
            facts={"local": FACTS},
            stages={"train": 1.5},
        ),
        REPORT_SCHEMA,
    ),
    "job": (
        Job(artifact="m.onnx", sha256="ab", format="onnx", feeds="feeds.npz", options={"threads": "1"}),
        JOB_SCHEMA,
    ),
    "result": (
        JobResult(
            backend="onnxruntime",
            engine="onnxruntime 1.31.1",
            provider="cpu",
            values=(0.001,),
            warmups=(),
            load_s=0.1,
            first_run_s=0.2,
            before=FACTS,
        ),
        JOB_SCHEMA,
    ),
    "failure": (JobFailure(error="DiskFull", message="No space left.", hint="df -h", exit_code=3), JOB_SCHEMA),
}
NAMES = list(DOCUMENTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_reads_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    document, newest = DOCUMENTS[name]

    documents.write(tmp_path / "file.json", document)

    assert documents.read(tmp_path / "file.json", type(document), newest=newest) == document


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_valid_against_its_schema(name: str) -> None:
    document, _ = DOCUMENTS[name]
    schema = msgspec.json.schema(type(document))

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(documents.encode(document)), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_refuses_a_field_nobody_knows(name: str) -> None:
    document, _ = DOCUMENTS[name]
    plain = json.loads(documents.encode(document)) | {"surprise": 1}

    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.validate(plain, msgspec.json.schema(type(document)))


@pytest.mark.parametrize("name", NAMES)
def test_a_document_names_the_schema_it_is_written_in(name: str) -> None:
    document, newest = DOCUMENTS[name]

    assert json.loads(documents.encode(document))["schema_version"] == newest


@pytest.mark.parametrize("name", NAMES)
def test_a_newer_schema_is_refused_with_the_upgrade_command(name: str) -> None:
    document, newest = DOCUMENTS[name]
    plain = json.loads(documents.encode(document)) | {"schema_version": newest + 1, "surprise": 1}

    with pytest.raises(Unreadable) as caught:
        documents.decode(json.dumps(plain).encode(), type(document), what="'file'", newest=newest)

    assert caught.value.message == f"'file' has schema {newest + 1}; this edgekit reads up to {newest}."
    assert caught.value.hint == origin().upgrade


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "'file' is not an edgekit JSON document."),
        (b"\xff\xfe", "'file' is not an edgekit JSON document."),
        (b"{", "'file' is not an edgekit JSON document."),
        (b"[]", "'file' is not an edgekit JSON document."),
        (b"3", "'file' is not an edgekit JSON document."),
        (b"[" * 100_000, "'file' is not an edgekit JSON document."),
        (b"{}", "'file' has no schema_version."),
        (b'{"schema_version": "1"}', "'file' has no schema_version."),
        (b'{"schema_version": 0}', "'file' has no schema_version."),
        (b'{"schema_version": null}', "'file' has no schema_version."),
        (b'{"schema_version": true}', "'file' is damaged: "),
        (b'{"schema_version": 1}', "'file' is damaged: Object missing required field `error`."),
        (
            b'{"schema_version": 1, "error": "E", "message": "m", "exit_code": "3"}',
            "'file' is damaged: Expected `int`, got `str` - at `$.exit_code`.",
        ),
    ],
)
def test_a_damaged_document_says_how(data: bytes, message: str) -> None:
    with pytest.raises(BundleUnreadable) as caught:
        documents.decode(data, JobFailure, what="'file'", newest=1, error=BundleUnreadable)

    assert caught.value.message.startswith(message)


@given(st.binary(max_size=80), st.integers(0, 400), st.integers(0, 400))
def test_damage_is_told_or_harmless_but_never_a_fault(noise: bytes, start: int, length: int) -> None:
    document, newest = DOCUMENTS["failure"]
    whole = documents.encode(document)
    damaged = whole[:start] + noise + whole[start + length :]

    try:
        read = documents.decode(damaged, JobFailure, what="'file'", newest=newest)
    except Unreadable:
        return
    assert isinstance(read, JobFailure)


FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(st.builds(Launch, st.integers(0, 99), st.lists(FLOATS).map(tuple), load_s=st.none() | FLOATS), max_size=4),
    st.text(st.characters(codec="utf-8")),
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.integers(1, 2**40), max_size=3),
)
def test_any_raw_values_read_back_exactly(launches: list[Launch], target: str, sizes: dict[str, int]) -> None:
    measurement = Measurement(target, "a", "latency", "s", tuple(launches), sizes)
    report = Report(command="profile", created="now", measurements=(measurement,))

    assert documents.decode(documents.encode(report), Report, what="'r'", newest=REPORT_SCHEMA) == report


def test_a_value_that_is_no_number_is_null() -> None:
    plain = json.loads(documents.encode(Estimate(math.nan, -math.inf, math.inf)))

    assert (plain["value"], plain["low"], plain["high"]) == (None, None, None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": (1, 2)}, {"b": [1, 2], "a": 1}),
        (Trust("A", ("r",)), {"raise_by": "", "reasons": ["r"], "grade": "A"}),
    ],
)
def test_the_bytes_that_are_hashed_know_no_order_of_keys(one: Any, other: Any) -> None:
    assert documents.canonical(one) == documents.canonical(other)


def test_json_is_indented_and_ends_with_a_newline() -> None:
    assert documents.encode({"a": [1]}) == b'{\n  "a": [\n    1\n  ]\n}\n'


def test_every_field_of_a_document_is_in_its_schema() -> None:
    for document, _ in DOCUMENTS.values():
        definitions = msgspec.json.schema(type(document))["$defs"]

        assert set(definitions[type(document).__name__]["properties"]) == set(msgspec.structs.asdict(document))


def test_the_repr_of_a_document_is_one_short_line() -> None:
    # That of a report was tens of kilobytes: every value of every launch.
    launches = tuple(Launch(order, tuple(1e-3 + call for call in range(4000))) for order in range(8))
    measurement = Measurement("local", "onnx-fp32", "latency", "s", launches, {"N": 1})
    report = Report(command="profile", created="2026-12-01", bundle="b" * 500, measurements=(measurement,) * 3)

    assert repr(launches[1]) == "Launch(order=1, values=<4000 float>, disturbed=False, replaced=False)"
    assert "launches=<8 Launch>" in repr(measurement)
    assert "measurements=<3 Measurement>" in repr(report)
    assert len(repr(report)) < 500


def test_every_document_has_a_short_repr() -> None:
    found = [
        kind
        for module in walk_packages(reports.__path__, "edgekit.core.reports.")
        for kind in vars(import_module(module.name)).values()
        if isinstance(kind, type) and "schema_version" in getattr(kind, "__struct_fields__", ())
    ]

    assert len(found) > 20
    assert [kind.__name__ for kind in found if not issubclass(kind, Document)] == []


def test_only_source_date_epoch_dates_what_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert documents.source_date() == ""

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert documents.source_date() == "2001-09-09T01:46:40+00:00"
    for wrong in ("now", "1" * 40):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(UserError, match="not a time in seconds"):
            documents.source_date()
