"""Foreign code and weights are loaded, or refused in words their author can act on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgekit.core.errors import UserError
from edgekit.export.messages import ModuleRef
from edgekit.export.torch.module import load_factory, load_module, sources_digest, state_digest

NETS = Path(__file__).parents[1] / "nets"
GOOD, FAULTY = f"{NETS / 'good.py'}", f"{NETS / 'faulty.py'}"


def line_of(text: str) -> int:
    return Path(FAULTY).read_text().splitlines().index(text) + 1


def test_a_class_in_a_file_is_a_factory() -> None:
    module = load_module(ModuleRef(f"{GOOD}:Cnn"))

    assert isinstance(module, nn.Module)
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_function_of_a_package_is_a_factory() -> None:
    assert isinstance(load_factory("torch.nn:Identity")(), nn.Identity)


@pytest.mark.parametrize(("location", "finds"), [("net.py:net", True), ("own:net", True), ("torch.nn:Identity", False)])
def test_only_code_of_the_user_imports_from_the_current_folder_and_after_everything_else(
    location: str, finds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("net.py", "own.py"):
        (tmp_path / name).write_text("def net(): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [folder for folder in sys.path if folder])

    load_factory(location)

    assert sys.path.count(str(tmp_path)) == finds + (location == "net.py:net")
    assert not finds or sys.path[-1] == str(tmp_path)
    assert sys.path[0] != str(tmp_path)


def test_arguments_and_dotted_names_are_part_of_a_factory(tmp_path: Path) -> None:
    text = "from torch import nn\n\nclass Net:\n    @staticmethod\n    def make(width, *, bias=True):\n"
    (tmp_path / "net.py").write_text(f"{text}        return nn.Linear(width, 2, bias=bias)\n")

    module = load_module(ModuleRef(f"{tmp_path / 'net.py'}:Net.make(3, bias=False)"))
    other = load_module(ModuleRef("torch.nn:Linear(4, 2)"))

    assert {name: tuple(one.shape) for name, one in module.state_dict().items()} == {"weight": (2, 3)}
    assert tuple(other.state_dict()["weight"].shape) == (2, 4)


def test_the_module_is_in_eval_mode_whatever_the_factory_left() -> None:
    network: nn.Module = load_module(ModuleRef(f"{FAULTY}:training"))

    assert not any(module.training for module in network.modules())


def test_the_seed_decides_random_weights() -> None:
    digests = [state_digest(load_module(ModuleRef(f"{GOOD}:Cnn"), seed=seed)) for seed in (1, 1, 2)]

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("net", "'net' does not name the function that makes the model."),
        ("nowhere/net.py:Net", "There is no file 'nowhere/net.py'."),
        (f"{GOOD}:Cnm", f"'{GOOD}' has no function or class 'Cnm'. Did you mean 'Cnn'?"),
        ("no.such.package:Net", "Importing 'no.such.package' failed: ModuleNotFoundError: No module named 'no'."),
        (f"{FAULTY}:no_module", f"'{FAULTY}:no_module' returned int, not a torch.nn.Module."),
        (f"{FAULTY}:leaves", f"The factory '{FAULTY}:leaves' failed: SystemExit: 7 ({FAULTY}:{{leaves}})."),
        (
            f"{FAULTY}:raises",
            f"The factory '{FAULTY}:raises' failed: RuntimeError: the weights are elsewhere ({FAULTY}:{{raises}}).",
        ),
    ],
)
def test_a_wrong_source_is_named(location: str, message: str) -> None:
    lines = {
        "raises": line_of('    raise RuntimeError("the weights are elsewhere")'),
        "leaves": line_of("    sys.exit(7)"),
    }

    with pytest.raises(UserError) as caught:
        load_module(ModuleRef(location))

    assert caught.value.message == message.format(**lines)
    assert caught.value.exit_code == 2


def test_a_file_that_does_not_import_is_named_with_its_line() -> None:
    with pytest.raises(
        UserError, match=rf"Importing .*No module named 'no_such_package_anywhere' \({NETS}/broken.py:3"
    ):
        load_module(ModuleRef(f"{NETS / 'broken.py'}:Net"))


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("import torch\n\ndef net(:\n    pass\n")

    with pytest.raises(UserError, match=rf"SyntaxError: .*\({tmp_path}/net.py:3\)"):
        load_module(ModuleRef(f"{tmp_path / 'net.py'}:net"))


def test_neighbours_of_the_file_are_importable_and_hide_no_package(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_net.py").write_text("from torch.nn import Identity as Net\n")
    (tmp_path / "json.py").write_text("raise RuntimeError('not the standard library')\n")
    (tmp_path / "net.py").write_text("import json\nfrom neighbour_of_net import Net\n")

    assert isinstance(load_module(ModuleRef(f"{tmp_path / 'net.py'}:Net")), nn.Identity)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_replace_those_of_the_factory(suffix: str, tmp_path: Path) -> None:
    wanted = load_module(ModuleRef(f"{GOOD}:Cnn"), seed=5)
    path = tmp_path / f"weights{suffix}"
    save_file(wanted.state_dict(), path) if suffix == ".safetensors" else torch.save(wanted.state_dict(), path)

    assert state_digest(load_module(ModuleRef(f"{GOOD}:Cnn", str(path)))) == state_digest(wanted)


def test_weights_that_do_not_fit_are_listed_all_at_once(tmp_path: Path) -> None:
    state = dict(load_module(ModuleRef(f"{GOOD}:Cnn")).state_dict())
    state["head.weight"] = torch.zeros(4, 7)
    del state["head.bias"]
    state |= {f"extra.{index}": torch.zeros(1) for index in range(5)}
    save_file(state, tmp_path / "weights.safetensors")

    with pytest.raises(UserError) as caught:
        load_module(ModuleRef(f"{GOOD}:Cnn", str(tmp_path / "weights.safetensors")))

    assert "1 missing: head.bias" in caught.value.message
    assert "5 unexpected: extra.0, extra.1, extra.2 and 2 more" in caught.value.message
    assert "1 with a different shape: head.weight (4, 7) instead of (4, 128)" in caught.value.message
    assert caught.value.exit_code == 2


def test_the_code_around_the_module_is_part_of_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    path.write_text("from torch.nn import Identity as Net\n")
    load_module(ModuleRef(f"{path}:Net"))
    before = sources_digest()

    path.write_text("from torch.nn import Identity as Net\n# and a comment\n")

    assert sources_digest() != before
