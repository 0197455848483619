"""Where Qwen Code is sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from interlock.agents.driven import AttemptRequest
from interlock.agents.kinds.qwen import _start
from interlock.core.ids import AttemptId
from interlock.ports import Brief


@pytest.mark.parametrize(
    ("endpoint", "env", "base"),
    [
        ("", {}, "https://api.openai.com/v1"),
        ("", {"OPENAI_BASE_URL": "https://own.example/v2"}, "https://own.example/v2"),
        ("https://named.example", {"OPENAI_BASE_URL": "https://own.example/v2"}, "https://named.example/v1"),
    ],
)
def test_the_address_that_its_agent_names_or_may_see(
    tmp_path: Path, endpoint: str, env: Mapping[str, str], base: str
) -> None:
    brief = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", "", env, 10, 0)
    assert (
        _start(AttemptRequest(brief, endpoint, login=False, state=tmp_path, tree=tmp_path)).env["OPENAI_BASE_URL"]
        == base
    )
