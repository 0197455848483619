"""What a person types to an approval."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import click
import pytest
from tests.unit.cli.views import ASKED, RUN, run_of

from interlock.cli import asking


@pytest.mark.parametrize(
    ("typed", "comment"),
    [("too short", "too short"), ("a\x07b\tc\x08", "ab c"), (None, None)],
)
def test_escape_goes_back_and_control_characters_are_no_comment(
    typed: str | None, comment: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def answer(_: object, request: Any) -> object:
        sent.append(request.comment)
        return SimpleNamespace(id="1")

    service = SimpleNamespace(describe_run=lambda run: run, answer=answer)
    app: Any = SimpleNamespace(service=service, person=lambda: "Ann")

    def prompt(_: str, read: object) -> str:
        if typed is None:
            raise click.Abort
        return typed

    monkeypatch.setattr(asking, "prompt", prompt)
    reader: Any = SimpleNamespace(lines=nullcontext)
    asked = asking.Asking(app, RUN)
    assert asked.press("r", run_of(waits=(ASKED,)), reader) is (comment is not None)
    assert sent == ([comment] if comment is not None else [])
    assert (asked.said == "not rejected") is (comment is None)
