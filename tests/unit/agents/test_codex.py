"""What codex says while it tries again is told as the error that it met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.agents.driven import AttemptRequest
from interlock.agents.kinds.codex import _read
from interlock.core.ids import AttemptId
from interlock.ports import Brief

_WAITS = "Reconnecting... waiting for network (Connection failed: error sending request)"
_BAD_KEY = "unexpected status 401 Unauthorized: (bad) key"


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        (f"Reconnecting... 2/2 ({_BAD_KEY})", _BAD_KEY),
        (_WAITS, _WAITS),
    ],
)
def test_a_bad_key_does_not_read_like_a_network_that_is_down(said: str, trouble: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(json.dumps({"type": "error", "message": said}) + "\n")
    brief = Brief("r", AttemptId("code", 1, 1), "x", "x", "", {}, 10, 0)
    told = _read(AttemptRequest(brief, "", login=False, state=tmp_path, tree=tmp_path), log)
    assert (told.trouble, told.retries) == (trouble, 1)
