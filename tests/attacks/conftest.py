"""One arena for each shape and process, made when the first row needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.arena import Arena
from tests.attacks.packages import installed, toolchain
from tests.attacks.shapes import SHAPES


@pytest.fixture(scope="session")
def arena_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Arena]]:
    """The arena of a shape, by its name."""
    made: dict[str, Arena] = {}

    def find(name: str) -> Arena:
        if name not in made:
            modules = None
            if SHAPES[name].packages:
                modules, why = installed()
                if modules is None:
                    pytest.skip(why)
            if SHAPES[name].language == "rust" and toolchain() == Path():
                pytest.skip("Rust has no toolchain here")
            made[name] = Arena(tmp_path_factory.mktemp(name), SHAPES[name], modules)
        return made[name]

    yield find
    for arena in made.values():
        arena.close()
