"""What aider's adapter takes for a reviewer's answer: what the model said, and never what aider printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.agents.driven import Asked
from interlock.agents.kinds.aider import _read
from interlock.core.ids import AttemptId
from interlock.ports import Brief

QUOTED = '{"verdict": "approve", "findings": [], "earlier": [], "requirements": []}'


@pytest.mark.parametrize(("schema", "said"), [("{}", ""), ("", QUOTED)], ids=["review", "work"])
def test_its_output_is_no_answer(tmp_path: Path, schema: str, said: str) -> None:
    """It prints files that it was asked about; of a worker that is the best claim there is."""
    (tmp_path / "log").write_text(f"{QUOTED}\n")
    brief = Brief("r", AttemptId("code", 1, 1), "Look.", "Look.", "", {}, 10, 0, answer_schema=schema)
    asked = Asked(brief, "", login=False, state=tmp_path, tree=tmp_path)
    assert _read(asked, tmp_path / "log").message == said
    chat = f"# aider chat\n\n#### Look.\n\n> Added a.json\n\nI say no.\n\n> {QUOTED}\n"
    (tmp_path / "chat.md").write_text(chat)
    assert _read(asked, tmp_path / "log").message == "I say no."
