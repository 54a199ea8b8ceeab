from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import UserError
from edgekit.train.fitting.search import OptionSpace, search
from edgekit.train.models.images.digits import MODEL
from edgekit.train.options import with_overrides

SHORT = with_overrides(MODEL.options, {"epochs": "1", "batch_size": "256", "average": "0", "threads": "1"})
SPACE = {"learning_rate": OptionSpace((1e-5, 1e-2), 1e-5, 1e-2)}

pytestmark = pytest.mark.slow


def test_a_grid_is_walked_once_and_the_best_is_a_command(tmp_path: Path) -> None:
    found = search("digits", tmp_path, trials=2, sampler="grid", options=SHORT, space=SPACE)

    assert found.trials == 2
    assert found.options == {"learning_rate": "0.01"}
    set_before = "--set epochs=1 --set batch_size=256 --set average=0.0"
    assert found.command == f"edgekit train digits --out runs/digits {set_before} --set learning_rate=0.01"


def test_a_search_goes_on_where_it_was(tmp_path: Path) -> None:
    search("digits", tmp_path, trials=2, options=SHORT, space=SPACE)

    found = search("digits", tmp_path, trials=3, options=SHORT, space=SPACE)

    assert found.trials == 3
    assert len(list(tmp_path.glob("trial-*"))) == 3


def test_a_search_goes_on_after_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    search("digits", tmp_path, trials=1, options=SHORT, space=SPACE)
    with (tmp_path / "search.journal").open("ab") as stream:
        stream.write(b'{"op_code":4,"worker')

    for trials in (2, 3):
        assert search("digits", tmp_path, trials=trials, options=SHORT, space=SPACE).trials == trials

    assert (tmp_path / "search.journal.torn").read_bytes() == b'{"op_code":4,"worker\n'
    assert not list(tmp_path.glob("*.lock"))


def test_two_processes_share_one_journal(tmp_path: Path) -> None:
    found = search("digits", tmp_path, trials=3, options=SHORT, space=SPACE, processes=2)

    assert found.trials >= 3


def test_an_unknown_sampler_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown sampler 'magic'"):
        search("digits", tmp_path, trials=1, sampler="magic")  # type: ignore[arg-type]  # what a user may type
