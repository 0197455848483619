"""The log of an attempt at work, as the page asks for it: words, and where the next ones begin."""

from __future__ import annotations

from pathlib import Path

from interlock.web.api import _piece

EVENT = '{"type":"assistant","message":{"content":[{"type":"text","text":"I look first."}]}}\n'


def test_a_piece_of_a_log_is_told_as_words(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(EVENT + '{"type":"assist')
    assert _piece(path, 0) == ("I look first.\n", len(EVENT))


def test_an_escape_in_an_event_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(EVENT.replace("look", r"l\u202eoo\u001b[2J\u00adk"))
    assert _piece(path, 0)[0] == "I look first.\n"
