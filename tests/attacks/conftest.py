"""One arena for each shape and process, made when the first row needs it; and what is outside of a room."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.arena import Arena
from tests.attacks.outside import Outside, outside
from tests.attacks.packages import django, installed, put_toolchain, toolchain
from tests.attacks.shapes import SHAPES


def _rust(folders: pytest.TempPathFactory) -> tuple[Path | None, str]:
    if toolchain() == Path():
        return None, "Rust has no toolchain here"
    return put_toolchain(folders.mktemp("toolchain") / "bin"), ""


PROGRAMS = {"": lambda _: (None, ""), "rust": _rust, "django": lambda _: django()}


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
            programs, why = PROGRAMS[SHAPES[name].program](tmp_path_factory)
            if why:
                pytest.skip(why)
            made[name] = Arena(tmp_path_factory.mktemp(name), SHAPES[name], modules, programs)
        return made[name]

    yield find
    for arena in made.values():
        arena.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Outside]:
    before = Path.cwd()
    with outside(tmp_path) as made:
        yield made
    os.chdir(before)
