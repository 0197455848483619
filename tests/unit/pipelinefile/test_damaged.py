"""Damaged pipelines: whatever is done to a file, it loads or it is refused with places and hints, and never crashes."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from interlock.pipelinefile import InvalidPipeline, Level, decode_pipeline, encode_pipeline, load_pipeline

HERE = Path(__file__).parent
FILES = [path for path in sorted((HERE / "broken").glob("*.yaml")) if "utf" not in path.stem]
VALUES = (
    "[]",
    "{}",
    "null",
    "3",
    "true",
    "-1",
    "1.5",
    "''",
    "[a]",
    "{a: b}",
    "[[x]]",
    "{file: x}",
    "*x",
    "[null]",
    "[{}]",
)
MARKS = "{}[]:'\"*&#- \t!|>"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(HERE / "repository", tmp_path_factory.mktemp("damaged") / "repository"))


@pytest.mark.parametrize("seed", range(100))
def test_a_damaged_file_is_refused_in_order(seed: int, root: Path) -> None:
    (root / "interlock.yaml").write_text(damaged(random.Random(seed)))
    try:
        pipeline = load_pipeline(root / "interlock.yaml", root).pipeline
    except InvalidPipeline as error:
        mistakes = error.mistakes
    else:
        assert decode_pipeline(encode_pipeline(pipeline)) == pipeline
        assert pipeline.ordered()
        return
    assert any(mistake.level is Level.ERROR for mistake in mistakes)
    assert all(mistake.message and mistake.hint and mistake.line > 0 and mistake.column > 0 for mistake in mistakes)


def damaged(chance: random.Random) -> str:
    lines = chance.choice(FILES).read_text().split("\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        lines[at : at + 1] = _damage(lines[at], lines, chance)
        lines = lines or [""]
    return "\n".join(lines)


def _damage(line: str, lines: list[str], chance: random.Random) -> list[str]:
    match chance.randrange(5):
        case 0:
            return []
        case 1:
            return [line, chance.choice(lines)]
        case 2:
            at = chance.randrange(len(line) + 1)
            return [line[:at] + chance.choice(MARKS) + line[at:]]
        case _:
            value = chance.choice(VALUES)
            return [re.sub(r":( .*)?$", lambda _: f": {value}", line)]
