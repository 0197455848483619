"""A pending approval, answered with a key: while it is drawn, or after the run has come to rest.

Rule: nothing is approved by one key alone: who has not looked at the diff, or could not see all of it, is asked once
more, and in the second case the answer says so. What is typed before the question is seen answers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import click

from interlock.application import Application
from interlock.cli import keys
from interlock.cli.colours import coloured_diff, show_in_pager
from interlock.cli.keys import Keys
from interlock.cli.overview import change_lines
from interlock.cli.terminal import prompt
from interlock.cli.words import safe
from interlock.core.events import Action, AnswerTaken, Recorded, Refused
from interlock.ports import InterlockError, UsageError
from interlock.readmodel.run import RunSummary, WaitView
from interlock.service import AnswerRequest
from interlock.service.answers import NOT_SEEN
from interlock.text.cleaning import count, plain, plain_patch
from interlock.text.patches import FilePatch, without_binary

_OFFER = "[a]pprove, [r]eject, [d]iff, [l]ater"
_WHAT_IS_WRONG = "what is wrong (the next attempt gets this text; Esc: back)"
_STAT_WIDTH = 100
_FILES_MAX = 30
_CONTEXT_MAX = 8  # lines
_DIFF_MAX = 5_000_000  # characters
_NAMED_MAX = 3
_SIGN_MAX = 12  # characters in the place of one that cannot be seen
_DONE = {Action.APPROVE: "approved", Action.REJECT: "rejected"}


@dataclass(slots=True)
class Asking:
    """What the person was asked, looked at and answered so far."""

    app: Application
    run: str
    looked_at: set[tuple[str, str]] = field(default_factory=set)  # questions whose diff was shown
    unseen: dict[str, str] = field(default_factory=dict)  # what was not shown of a diff, by subject
    put_off: set[tuple[str, str]] = field(default_factory=set)
    confirming: tuple[str, str] = ("", "")
    sent: dict[str, WaitView] = field(default_factory=dict)  # by the id of the answer
    said: str = ""
    stats: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by subject
    drawn: tuple[str, ...] = ()  # the mark of the question on the screen

    @property
    def is_confirming(self) -> bool:
        return bool(self.confirming[0])

    def current(self, view: RunSummary) -> WaitView | None:
        """The approval that a key answers now."""
        answered = {_key(wait) for wait in self.sent.values()}
        return next(
            (
                wait
                for wait in view.waits
                if wait.reason == "approval" and _key(wait) not in self.put_off and _key(wait) not in answered
            ),
            None,
        )

    def question(self, view: RunSummary) -> str:
        """`ship/1.1: [a]pprove, ...`; empty if nothing is asked."""
        wait = self.current(view)
        if wait is None:
            return ""
        if self.confirming == _key(wait):
            without = ", although you have not seen the whole change" if wait.subject in self.unseen else ""
            return f"Approve {wait.subject}{without}? [y/N]"
        return f"{wait.subject}: {_OFFER}"

    def mark(self, view: RunSummary) -> tuple[str, ...]:
        """What tells the question from every other; empty if nothing is asked."""
        wait = self.current(view)
        return () if wait is None else (*_key(wait), self.question(view))

    def stat(self, wait: WaitView) -> tuple[str, ...]:
        """What the run changes up to `wait`: how much, then each file. Empty if the commits are not there."""
        if wait.subject not in self.stats:
            from interlock.service.diffs import visible_diff

            try:
                view = self.app.service.describe_run(self.run)
                commit = self.app.service.commit_of(view, wait.subject)
                found = visible_diff(self.app.workspaces, view, view.base_commit, commit, patch=False)
                self.stats[wait.subject] = tuple(change_lines(found.changes, wait.subject, _STAT_WIDTH, _FILES_MAX))
            except InterlockError:
                self.stats[wait.subject] = ()
        return self.stats[wait.subject]

    def context(self, view: RunSummary) -> list[str]:
        """The question of the gate and what changes, above the keys."""
        wait = self.current(view)
        if wait is None or self.is_confirming:
            return []
        return [f"{wait.subject} asks: {safe(wait.detail)}", *(f"  {line}" for line in self.stat(wait)[:_CONTEXT_MAX])]

    def press(self, key: str, view: RunSummary, reader: Keys) -> bool:
        """Act on a key. True if an answer was sent."""
        wait = self.current(view)
        if wait is None:
            return False
        self.said = ""
        if self.confirming == _key(wait):
            self.confirming = ("", "")
            return key.lower() == "y" and self._send(self._approval(wait), wait)
        match key.lower():
            case "a" if _key(wait) in self.looked_at:
                return self._send(self._approval(wait), wait)
            case "a":
                self.confirming = _key(wait)
                self.said = self.unseen.get(wait.subject, "")
            case "r":
                return self._reject(wait, reader)
            case "d":
                with reader.released():
                    self._show_diff(wait)
            case "l" | keys.ESCAPE | keys.END_OF_INPUT:
                self.put_off.add(_key(wait))
            case "\n" | "\r" | " ":
                pass
            case _:
                self.said = "type one of the letters in brackets"
        return False

    def hear(self, batch: Iterable[Recorded]) -> None:
        """What became of the answers that were sent."""
        for event in (record.event for record in batch):
            if isinstance(event, AnswerTaken) and event.answer in self.sent:
                self.said = f"✓ {self.sent.pop(event.answer).subject} {_DONE[event.action]} by you"
            elif isinstance(event, Refused) and event.subject in self.sent:
                subject = self.sent.pop(event.subject).subject
                self.said = f"✗ the answer to {subject} was refused: {safe(event.why)}"

    def _reject(self, wait: WaitView, reader: Keys) -> bool:
        with reader.lines() as read:
            try:
                why = prompt(f"{wait.subject}: {_WHAT_IS_WRONG}", read=read)
            except click.Abort:  # Ctrl-C or Esc; what was typed before is nobody's comment
                why = ""
        if not why:
            self.said = "not rejected"
            return False
        request = AnswerRequest(
            Action.REJECT, self.app.person(), wait.stage, wait.subject, wait.gate, plain(why, 10_000).replace("\t", " ")
        )
        return self._send(request, wait)

    def _send(self, request: AnswerRequest, wait: WaitView) -> bool:
        try:
            put = self.app.service.answer(self.app.service.describe_run(self.run), request)
        except UsageError as error:  # somebody else was first
            self.put_off.add(_key(wait))
            self.said = safe(str(error))
            return False
        self.sent[put.id] = wait
        self.said = f"{wait.subject}: your answer is recorded, and the run reads it"
        return True

    def _show_diff(self, wait: WaitView) -> None:
        """Everything that the run changed, up to what waits."""
        from interlock.service.diffs import visible_diff

        view = self.app.service.describe_run(self.run)
        commit = self.app.service.commit_of(view, wait.subject)
        found = visible_diff(self.app.workspaces, view, view.base_commit, commit)
        stat = (*self.stat(wait), "") if found.patch else ()
        notes = (plain(line, 1000) for line in (*stat, *found.notes))
        patch, binary = without_binary(found.patch)
        whole = plain_patch(patch, _SIGN_MAX * len(patch) + _DIFF_MAX)
        text = "\n".join((*notes, plain(whole, _DIFF_MAX)))
        show_in_pager(coloured_diff(text or f"{wait.subject} changes nothing"))
        parts = [f"{count(len(found.left_out), 'file')} withheld"] if found.left_out else []
        if binary:
            parts.append(f"{count(len(binary), 'binary file')} not shown ({_named(binary)})")
        if len(whole) > _DIFF_MAX:
            parts.append(f"{len(whole) - _DIFF_MAX:,} of {len(whole):,} characters left out in the middle")
        if not parts:
            self.looked_at.add(_key(wait))
            return
        ask = (
            f"`interlock diff --raw {'--unmasked ' if found.left_out else ''}{view.id} base {wait.subject}` prints all"
        )
        self.unseen[wait.subject] = self.said = f"not the whole change was shown: {', '.join(parts)}; {ask}"

    def _approval(self, wait: WaitView) -> AnswerRequest:
        said = NOT_SEEN if wait.subject in self.unseen else ""
        return AnswerRequest(Action.APPROVE, self.app.person(), wait.stage, wait.subject, wait.gate, said)


def _named(binary: Sequence[FilePatch]) -> str:
    names = [safe(file.path, 100) + (f", {file.size:,} bytes" if file.size >= 0 else "") for file in binary]
    return "; ".join(names[:_NAMED_MAX]) + ("; ..." if len(names) > _NAMED_MAX else "")


def _key(wait: WaitView) -> tuple[str, str]:
    return wait.subject, wait.gate
