"""A new event or command is named by mypy wherever one is matched: no `case _` swallows it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import interlock
from interlock.core.effects import Effect
from interlock.core.events import Event

SOURCE = Path(interlock.__file__).parent
NAMES = {cls.__name__ for cls in (*get_args(Event), *get_args(Effect))}


def test_each_match_over_events_or_commands_ends_in_assert_never() -> None:
    matches = [(path, match) for path in sorted(SOURCE.rglob("*.py")) for match in _matches(path)]
    assert len(matches) > 15
    swallowing = [f"{path.relative_to(SOURCE)}:{match.lineno}" for path, match in matches if not _is_closed(match)]
    assert swallowing == []


def _matches(path: Path) -> Iterator[ast.Match]:
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)) if "match " in text else ():
        if isinstance(node, ast.Match) and any(_names(case.pattern) & NAMES for case in node.cases):
            yield node


def _names(pattern: ast.pattern) -> set[str]:
    classes = (found.cls for found in ast.walk(pattern) if isinstance(found, ast.MatchClass))
    return {cls.id for cls in classes if isinstance(cls, ast.Name)}


def _is_closed(match: ast.Match) -> bool:
    last = match.cases[-1]
    wild = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
    return wild and len(last.body) == 1 and ast.unparse(last.body[0]).startswith("assert_never(")
