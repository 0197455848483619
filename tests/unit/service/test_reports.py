"""What others wrote is text in Markdown, and stays readable as source."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from html import unescape

import pytest
from markdown_it import MarkdownIt

from interlock.core.answers import human_verdict
from interlock.core.events import Action, AnswerTaken
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Gate, GateKind, Pipeline, Stage
from interlock.core.state import Phase
from interlock.readmodel.costs import Costs
from interlock.readmodel.history import AttemptPhase, AttemptView, Reply, VerdictView
from interlock.readmodel.run import RunSummary, RunView, StageView, unreadable
from interlock.service.formats import moment
from interlock.service.reports import cell, run_markdown

HOSTILE = (
    "[x](javascript:alert(1))",
    "<b>bold</b> <script>x</script>",
    "![x](https://evil.example/x.png)",
    "[x]: https://evil.example (title)",
    '<img src=x onerror="alert(1)">',
    "<https://evil.example>",
    "https://evil.example/?a=(b)",
    "www.evil.example WWW.evil.example",
    "a | b `c` ~~d~~ *e* \\[f](g)",
    "- item",
    "---",
    "# head",
    "&lt;img&gt; &#91;x](y)",
    "@everyone #1",
    "_www.evil.example/login",
    "user@evil.example",
    "__bold__ _em_",
    "___",
    "_ _ _",
    "1. one",
    "12) twelve",
    "GH-26 gh-3",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("row", [False, True])
def test_a_cell_is_plain_text(text: str, row: bool) -> None:
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    source = f"| a |\n|---|\n| {cell(text)} |" if row else f"Task:\n{cell(text)}\n\n{cell(text)}"
    html = markdown.render(source)
    inside = f"<td>{text}</td>" if row else f"<p>{text}</p>"
    assert inside in unescape(html).replace("\u2060", "")
    assert sum(html.count(mark) for mark in ("<a", "<img", "<li", "<h", "<code", "<em", "<s>", "<b", "<script")) == 0
    assert "://" not in source  # which GitHub makes a link of
    assert "www." not in source.lower()
    assert not re.search(r"@(?!&#8288;)|@\w|GH-\d", source, re.IGNORECASE)  # nor these


@pytest.mark.parametrize(
    "text",
    [
        "fix parse() (again)",
        'it said "no"; why?',
        "a well-known no-op",
        "it doesn't cost 100% of 3/4, or 0.5!",
        "a file test_a_b.py",
        "2.5 of 3)",
    ],
)
def test_what_is_no_markup_is_not_replaced(text: str) -> None:
    assert cell(text) == text


def test_a_cell_hides_and_reorders_nothing() -> None:
    assert cell("a\u202eb\xad\u200bc\x1b[31md\u2028\U000e0041e") == "abcd e"


def test_the_answers_of_people_are_in_the_report() -> None:
    told = AnswerTaken("a", Action.APPROVE, "ann", "ship", AttemptId("ship", 1, 1), "ship/merge", comment="good | fine")
    replies = (Reply(7.0, told), Reply(8.0, replace(told, by="bob"), refused="too late"))
    known = {each.name: getattr(unreadable("r", "", damaged=False), each.name) for each in fields(RunSummary)}
    verdict = VerdictView(7.0, human_verdict(told))
    attempt = AttemptView(AttemptId("ship", 1, 1), AttemptPhase.ACCEPTED, "", "", "", "t", 1.0, verdicts=(verdict,))
    stages = (StageView("ship", (), Phase.ACCEPTED, 1, "", (attempt,), None, commit="c"),)
    seen = RunView(
        **known,
        stages=stages,
        base_verdicts=(),
        refused=0,
        answers=(),
        costs=Costs(),
        replies=replies,
    )
    gate = Gate("merge", GateKind.APPROVE, question="Merge?")
    page = run_markdown(Pipeline("p", (Stage("ship", gates=(gate,)),)), seen)
    said = cell(moment(7.0))
    assert (
        f"| answer | about | by | at | comment |\n|---|---|---|---|---|\n| approve | {cell('ship/1.1 merge')} |" in page
    )
    assert f"| ann | {said} | good &#124; fine |\n\n" in page
    assert "| by ann |" in page
    assert "bob" not in page
    assert (
        "Spent: 0 attempts, 0.0 s at work (1 began; one that was lost, or that errored before it worked, "
        "does not count)" in page
    )
