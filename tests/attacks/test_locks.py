"""Lock files under `quick`: another package under a name that was locked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.attacks.arena import Arena
from tests.attacks.rows import Attack, Honest, attack, each
from tests.attacks.shapes import APP, PYTEST

FILES = "https://files.pythonhosted.org/packages/00"
LOCK = f"""\
version = 1

[[package]]
name = "pytest"
version = "8.0.0"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "{FILES}/pytest-8.0.0-py3-none-any.whl", hash = "sha256:00" }}]
"""
ONE = LOCK.partition("\n\n")[2].replace("pytest", "one").replace("8.0.0", "1.0.0")
NODE = """\
{"packages": {"node_modules/mocha": {"version": "10.0.0", "integrity": "sha512-00",
 "resolved": "https://registry.npmjs.org/mocha/-/mocha-10.0.0.tgz"}}}
"""
SHAPE = replace(PYTEST, name="locked", files={**PYTEST.files, "uv.lock": LOCK, "page/package-lock.json": NODE})

ROWS = [
    Attack("another hash", {"uv.lock": LOCK.replace("sha256:00", "sha256:01")}, "scope/dependency"),
    Attack("another package's file", {"uv.lock": LOCK.replace("/pytest-8", "/evil-8")}, "scope/dependency"),
    Attack("a folder of the checkout", {"uv.lock": LOCK.replace('registry = "https://pypi.org/simple"', 'directory = "src"')}, "scope/dependency"),
    Attack("an alias", {"page/package-lock.json": NODE.replace('{"version"', '{"name": "evil", "version"')}, "scope/dependency"),
    Attack("another package's address", {"page/package-lock.json": NODE.replace("mocha/-/mocha", "evil/-/evil")}, "scope/dependency"),
    Attack("no hash", {"page/package-lock.json": NODE.replace('"integrity": "sha512-00",', "")}, "scope/dependency"),
    Attack("nonsense", {"page/package-lock.json": "{"}, "scope/dependency"),
]  # fmt: skip
HONEST = [
    Honest("one more package", {"uv.lock": f"{LOCK}\n{ONE}", "src/app.py": f"# ours\n{APP}"}),
    Honest("another version", {"page/package-lock.json": NODE.replace("10.0.0", "10.1.0").replace("sha512-00", "sha512-01")}),
    Honest("a lock file less", {"page/package-lock.json": None, "src/app.py": f"# ours\n{APP}"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("locked"), SHAPE)
    yield made
    made.close()


@each(ROWS)
def test_what_was_locked_stays_what_it_was(arena: Arena, row: Attack) -> None:
    attack(arena, row)


@each(HONEST)
def test_honest(arena: Arena, row: Honest) -> None:
    outcome = arena.attack(row.files)
    assert outcome.delivered, outcome.told()
