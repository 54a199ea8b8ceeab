"""`edgekit init` finds the models of a folder; what it writes passes, and a larger model then fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.cli.conftest import write_bundle

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.system.check_settings import read_check
from edgekit.core.system.installation import Origin
from edgekit.core.system.progress import Silent
from edgekit.core.verdict import Verdict
from edgekit.flows.check import check_order
from edgekit.flows.init import find_models, init_order
from edgekit.flows.order import door
from edgekit.flows.writing.workflows import workflow_of

check, init = door(check_order), door(init_order)


def dense(path: Path, width: int = 64, *, free: bool = False) -> Path:
    """An .onnx of one matrix product; with `free`, its input has a dynamic axis besides the batch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = ["N", "T", 4] if free else ["N", 4]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*shape[:-1], width])],
        [numpy_helper.from_array(np.ones((4, width), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_what_is_written_passes_and_a_larger_model_fails(tmp_path: Path) -> None:
    dense(tmp_path / "models" / "net.onnx")
    # Latencies of microseconds: few pairs exclude that one is nearly twice the other.
    changes = {"launches": 5, "time_limit_s": 0.01, "minimum_effect": 0.9}

    init(tmp_path)
    green = check(tmp_path / "edgekit.toml", changes=changes)
    dense(tmp_path / "models" / "net.onnx", 128)
    red = check(tmp_path / "edgekit.toml", changes=changes)

    assert (green.verdict, red.verdict) == (Verdict.PASS, Verdict.FAIL)


def test_what_appears_before_the_files_are_written_stays(tmp_path: Path) -> None:
    dense(tmp_path / "net.onnx")
    (tmp_path / ".gitignore").write_text("*.pyc\n", encoding="utf-8")

    with init_order(tmp_path) as order:
        (tmp_path / "edgekit-baseline").mkdir()
        (tmp_path / "edgekit-baseline" / "net.onnx").write_bytes(b"accepted meanwhile")
        (tmp_path / ".gitignore").write_text("*.pyc\n*.log\n", encoding="utf-8")
        (tmp_path / "edgekit.toml").write_text("# of another program", encoding="utf-8")
        with pytest.raises(UserError, match="already exists"):
            order.run(Silent())
        (tmp_path / "edgekit.toml").unlink()
        with pytest.raises(UserError, match="already exists"):
            order.run(Silent())

    assert (tmp_path / "edgekit-baseline" / "net.onnx").read_bytes() == b"accepted meanwhile"
    assert "*.log" in (tmp_path / ".gitignore").read_text(encoding="utf-8")


def test_every_model_has_a_table_of_its_own_name(tmp_path: Path) -> None:
    dense(tmp_path / "a" / "net.onnx")
    dense(tmp_path / "b" / "net.onnx", free=True)
    write_bundle(tmp_path / "bundle", Samples({"x": np.ones((4, 1, 8, 8), np.float32)}))
    dense(tmp_path / ".hidden" / "net.onnx")
    dense(tmp_path / "edgekit-built" / "net.onnx")

    found = init(tmp_path)

    file = read_check(tmp_path / "edgekit.toml")
    assert found.models == ("a/net.onnx", "b/net.onnx", "bundle")
    assert [model.called for model in file.models] == ["a-net.onnx", "b-net.onnx", "bundle"]
    assert [model.sizes for model in file.models] == [(), ("T=64",), ()]


def test_a_file_that_cannot_be_opened_is_a_comment(tmp_path: Path) -> None:
    dense(tmp_path / "net.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")

    init(tmp_path)

    assert "# 'broken.onnx' cannot be opened here" in (tmp_path / "edgekit.toml").read_text(encoding="utf-8")
    assert [model.path for model in read_check(tmp_path / "edgekit.toml").models] == ["net.onnx"]


@pytest.mark.parametrize(
    ("ci", "file"), [("github", ".github/workflows/edgekit.yml"), ("gitlab", "edgekit.gitlab-ci.yml")]
)
def test_a_workflow_runs_the_check_and_says_what_is_left_to_do(ci: str, file: str, tmp_path: Path) -> None:
    dense(tmp_path / "net.onnx")

    found = init(tmp_path, ci=ci)

    text = (tmp_path / file).read_text(encoding="utf-8")
    assert "edgekit check --report edgekit-check.xml" in text
    assert "ORGANISATION" not in text
    assert "INSTALL" not in text
    assert [one for one in found.remaining if "commit it" in one or "include:" in one] == list(found.remaining)


def test_a_pushed_commit_is_what_the_workflow_installs_without_the_token_of_its_address(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=n@example.invalid", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    git("remote", "add", "origin", "https://someone:secret@forge.example.invalid/team/edgekit.git")
    commit = git("rev-parse", "HEAD")
    local = workflow_of("gitlab", Origin(str(tmp_path), runs_there=True)).text
    git("update-ref", "refs/remotes/origin/main", commit)
    pushed = workflow_of("gitlab", Origin(str(tmp_path), runs_there=True)).text

    assert "edgekit-wheel/" in local
    assert f'"edgekit-onnx[cpu,tflite] @ git+https://forge.example.invalid/team/edgekit.git@{commit}"' in pushed
    assert "secret" not in pushed


def test_each_model_is_copied_as_its_baseline_which_stays(tmp_path: Path) -> None:
    dense(tmp_path / "models" / "net.onnx")
    first = (tmp_path / "models" / "net.onnx").read_bytes()

    init(tmp_path)
    dense(tmp_path / "models" / "net.onnx", 128)
    init(tmp_path, force=True)

    assert (tmp_path / "edgekit-baseline" / "models" / "net.onnx").read_bytes() == first
    (model,) = read_check(tmp_path / "edgekit.toml").models
    assert model.baseline == "edgekit-baseline/models/net.onnx"


def test_files_that_exist_stay_and_gitignore_is_added_to(tmp_path: Path) -> None:
    dense(tmp_path / "net.onnx")
    (tmp_path / ".gitignore").write_text("*.pyc")
    init(tmp_path)

    with pytest.raises(UserError, match=r"edgekit\.toml' already exists"):
        init(tmp_path)
    init(tmp_path, force=True)

    assert (tmp_path / ".gitignore").read_text() == "*.pyc\nedgekit-built/\n"


def test_a_folder_without_models_is_refused_with_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contains no bundle") as caught:
        init(tmp_path)

    assert caught.value.hint.startswith("edgekit export")
    assert find_models(tmp_path) == ()
