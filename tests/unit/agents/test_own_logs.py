"""What the log that a program keeps for itself says of an attempt that ended without a word: the errors since it last
got on, and none that it got over."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.agents.driven import Asked
from interlock.agents.kinds import goose, opencode, qwen
from interlock.core.ids import AttemptId
from interlock.ports import Brief

_NOW = 1_800_000_000
_AT = datetime.fromtimestamp(_NOW, UTC).isoformat()
_LOGS = {
    goose: ("state/logs/cli/2026/a.log", "Provider request failed with status: 429 Too Many Requests: Rate limit\n"),
    opencode: ("data/opencode/log/opencode.log", f'timestamp={_AT} level=ERROR error.error="Rate limit reached"\n'),
    qwen: ("qwen/debug/a.txt", f"{_AT} [ERROR] OpenAI API Error: 429 Rate limit reached\n"),
}


@pytest.mark.parametrize("kind", _LOGS)
def test_an_error_counts_until_it_went_on(kind: object, tmp_path: Path) -> None:
    name, error = _LOGS[kind]  # type: ignore[index]
    own, log = tmp_path / name, tmp_path / "log"
    own.parent.mkdir(parents=True)
    own.write_text(error)
    log.write_text("")
    os.utime(own, (_NOW, _NOW))
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", {}, 10, 0)
    asked = Asked(brief, "", login=False, state=tmp_path, tree=tmp_path)
    for later, counts in ((-1, True), (60, False)):
        os.utime(log, (_NOW + later, _NOW + later))
        assert bool(kind._read(asked, log).trouble) is counts  # type: ignore[attr-defined]
