"""A store of each kind, and reports to keep in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.store.postgresql import Server, postgresql

from edgekit.store.database import Store, open_store

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Places of stores that do not exist yet, in SQLite and in PostgreSQL."""
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"runs-{next(_NUMBERS)}.sqlite")
    server = request.getfixturevalue("server")
    return lambda: server.create(f"runs_{next(_NUMBERS)}")


@pytest.fixture
def place(new_place: Callable[[], str]) -> str:
    return new_place()


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    with open_store(place) as opened:
        yield opened
