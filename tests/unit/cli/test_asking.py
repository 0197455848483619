"""What a person types to an approval."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import click
import pytest
from tests.unit.cli.views import ASKED, RUN, run_of

from interlock.cli import asking
from interlock.ports import UsageError
from interlock.service import diffs
from interlock.service.diffs import VisibleDiff

LOGO = (
    b"diff --git a/logo.png b/logo.png\nnew file mode 100644\nindex 0000000..a1\nGIT binary patch\nliteral 1234\n"
    b"zcmV;H0cQTX\n\nliteral 0\nHcmV?d00001\n\n"
)


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


@pytest.mark.parametrize(
    ("patch", "left_out", "unseen"),
    [
        (b"+x\n", (), ""),
        (b"+x\n", ("a",), "not the whole change was shown: 1 file withheld; `interlock diff --raw --unmasked"),
        (LOGO, (), "not the whole change was shown: 1 binary file not shown (logo.png, 1,234 bytes); `interlock diff"),
        (b"+x\n" * 10 + b"\x1b" * 10, (), "not the whole change was shown: 20 of 80 characters left out"),
    ],
)
def test_who_could_not_see_the_whole_change_is_told_and_says_so(
    patch: bytes, left_out: tuple[str, ...], unseen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    shown: list[str] = []

    def answer(_: object, request: Any) -> object:
        sent.append(request.comment)
        return SimpleNamespace(id="1")

    view = run_of(waits=(ASKED,))
    service = SimpleNamespace(describe_run=lambda run: view, answer=answer, commit_of=lambda view, name: "c")
    app: Any = SimpleNamespace(service=service, person=lambda: "Ann", workspaces=None)
    monkeypatch.setattr(asking, "_DIFF_MAX", 60 if patch != LOGO else 6_000)
    monkeypatch.setattr(diffs, "visible_diff", lambda *_, **__: VisibleDiff((), patch, left_out))
    monkeypatch.setattr(asking, "show_in_pager", lambda lines: shown.extend(lines))
    reader: Any = SimpleNamespace(released=nullcontext)
    asked = asking.Asking(app, RUN)
    asked.press("d", view, reader)
    assert "cmV" not in "".join(shown)
    assert asked.said.startswith(unseen)
    assert bool(asked.said) is bool(unseen)
    assert asked.press("a", view, reader) is not bool(unseen)
    if unseen:
        assert asked.question(view) == "Approve ship/1.1, although you have not seen the whole change? [y/N]"
        assert asked.said.startswith(unseen)
        assert asked.press("y", view, reader)
    assert sent == ["I have not seen the whole change." if unseen else ""]


def test_who_was_not_first_is_told_and_not_asked_again() -> None:
    def answer(_: object, request: Any) -> object:
        raise UsageError("nothing recorded for ship/1.1: ship/1.2 ship/merge waits for an approval")

    view = run_of(waits=(ASKED,))
    service = SimpleNamespace(describe_run=lambda run: view, answer=answer)
    app: Any = SimpleNamespace(service=service, person=lambda: "Ann")
    reader: Any = SimpleNamespace(released=nullcontext)
    asked = asking.Asking(app, RUN)
    asked.press("a", view, reader)
    assert not asked.press("y", view, reader)
    assert asked.said == "nothing recorded for ship/1.1: ship/1.2 ship/merge waits for an approval"
    assert asked.question(view) == ""
