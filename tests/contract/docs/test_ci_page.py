"""What docs/ci.md shows: the pipeline for proposals that change tests."""

from __future__ import annotations

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.docs.pages import DOCS, blocks

BLOCKS = blocks((DOCS / "ci.md").read_text())
PIPELINE = next(block.text for block in BLOCKS if block.words == "ci")
CALL = next(block.text for block in BLOCKS if "--pipeline ci" in block.text)
CALC = "def add(a, b):\n    return a + b\n"
OLD = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
BROKEN = CALC.replace("+", "-")
MORE = "\n\ndef test_one():\n    assert add(1, 0) == 1\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    files = {"calc.py": CALC, "tests/test_old.py": OLD, ".interlock/pipelines/ci.yaml": PIPELINE}
    made = new_world(tmp_path_factory.mktemp("ci") / "world", files)
    made.git("update-ref", "refs/remotes/origin/main", "main")
    return made


def proposed(world: World, files: dict[str, str], stage: str = "change") -> tuple[int, set[str]]:
    """How the call on the page ends, and the gates that said no."""
    world.git("checkout", "-q", "--detach", "main")
    for name in [name for name, text in files.items() if not text]:
        (world.repository / name).unlink()
    world.commit({name: text for name, text in files.items() if text})
    words = CALL.replace("--stage change", f"--stage {stage}").split()[1:]
    said = world.ask(*words, "--json")
    return said.code, {gate["gate"] for gate in said.json()["gates"] if gate["status"] not in ("passed", "skipped")}


@pytest.mark.parametrize(
    "files",
    [
        {"calc.py": CALC + "\n\ndef mul(a, b):\n    return a * b\n"},
        {"tests/test_old.py": OLD.replace("2, 3) == 5", "2, 4) == 6")},
        {"tests/test_old.py": OLD + MORE},
        {"tests/test_new.py": "from calc import add\n" + MORE},
    ],
    ids=["product", "changed", "grown", "added"],
)
def test_ordinary_proposals_pass(world: World, files: dict[str, str]) -> None:
    assert proposed(world, files) == (0, set())


@pytest.mark.parametrize(
    ("files", "gates"),
    [
        ({"calc.py": BROKEN}, {"test", "old"}),
        ({"calc.py": BROKEN, "tests/test_old.py": OLD.replace("== 5", "== -1")}, {"old"}),
        ({"calc.py": BROKEN, "tests/test_old.py": OLD.replace("assert add(2, 3) == 5", "pass")}, {"old"}),
        ({"tests/test_old.py": ""}, {"test"}),
        ({"tests/conftest.py": "collect_ignore = ['test_old.py']\n"}, {"test"}),
        ({"calc.py": BROKEN, "tests/conftest.py": "import calc\n\ncalc.add = lambda a, b: a + b\n"}, {"old"}),
        ({"conftest.py": "collect_ignore = ['tests']\n"}, {"scope"}),
        ({".interlock/pipelines/ci.yaml": PIPELINE.replace("python.test", "python.lint")}, {"scope"}),
    ],
    ids=["broken", "bent", "weakened", "deleted", "ignored", "patched", "configuration", "pipeline"],
)
def test_what_bends_a_judge_does_not(world: World, files: dict[str, str], gates: set[str]) -> None:
    assert proposed(world, files) == (1, gates)


def test_whoever_may_decide_that_picks_the_other_stage(world: World) -> None:
    meant = {"calc.py": BROKEN, "tests/test_old.py": OLD.replace("== 5", "== -1")}
    assert proposed(world, meant, "rewrite") == (0, set())
    assert proposed(world, {"calc.py": BROKEN}, "rewrite") == (1, {"own"})


def test_a_renamed_test_needs_the_other_stage(world: World) -> None:
    renamed = {"tests/test_old.py": OLD.replace("test_add", "test_sum")}
    assert proposed(world, renamed) == (1, {"test"})
    assert proposed(world, renamed, "rewrite") == (0, set())
