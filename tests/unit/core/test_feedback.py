"""Findings as a worker is told them."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path

from interlock.core.events import Finding, Severity, VerdictGiven, VerdictStatus
from interlock.core.feedback import ASKED_AGAIN, fingerprint, for_agent, for_worker, reasons, same_words
from interlock.core.ids import AttemptId

GATES = Path(__file__).parents[3] / "src/interlock/gates"
_OF_PIPELINES = re.compile(
    r"let the (stage|gate)|in the stage|correct the gate|the gate's `|only a stage (that|with)|"
    r"`(authors|may_be_empty|canary|breaks)|without `expect"
)
# Pieces that are put together, what is said where nothing is decided (no agent is told), and comments.
_NO_MESSAGES = (
    "only a stage that `authors` it may change it", "put it back as it was; only a stage with",
    'NAME: NAME `authors: ["',
    "no test that must fail was added", "no such folder in the checkout", "one glob of `breaks` each time",
    "behind the `#` of its `authors`",
)  # fmt: skip


def test_one_long_word_takes_no_longer_than_many_short_ones() -> None:
    """A candidate chooses messages: 500 findings of 2,000 characters took a minute."""
    assert _time_of("x" * 8_000) < 50 * _time_of("x " * 4_000)


def _time_of(message: str) -> float:
    began = time.process_time()
    for _ in range(3):
        assert for_worker(message) == message
    return time.process_time() - began


def test_what_is_for_the_author_of_the_pipeline_is_left_out() -> None:
    assert (
        for_worker("the attempt changed nothing: make the change, or set `may_be_empty: true` in the stage")
        == "the attempt changed nothing: make the change"
    )
    message = "x.toml: tool.ruff was changed, but it steers what judges: put it back as it was; only a stage with"
    message += ' `authors: ["x.toml#tool.ruff"]` may change it'
    assert for_worker(message) == "x.toml: tool.ruff was changed, but it steers what judges: put it back as it was"
    assert for_worker("a; only this\nb") == "a; only this\nb"
    hidden = "`make`: /srv/x is not in the sandbox: add it to `read` under `sandbox` in the pipeline; exit code 2"
    assert for_worker(hidden) == "`make`: exit code 2"


def test_no_message_of_a_gate_speaks_of_the_pipeline_to_a_worker() -> None:
    spoken = [text for text in messages() if _OF_PIPELINES.search(text)]
    assert len(spoken) > 8
    left = [text for text in map(for_worker, spoken) if _OF_PIPELINES.search(text)]
    assert [text for text in left if not any(part in text for part in _NO_MESSAGES)] == []


def test_findings_are_compared_without_numbers() -> None:
    assert same_words("g", "f", "took 3  s") == same_words("g", "f", "took 41 s")
    assert same_words("g", "f", "<f at 0x7fbe74e8dd00>") == same_words("g", "f", "<f at 0x7F93BD3FDDA0>")
    assert same_words("g", "f", "one") != same_words("g", "f", "two")


ATTEMPT = AttemptId("code", 1, 1)


def _verdict(*findings: Finding, gate: str = "code/test", status: VerdictStatus = VerdictStatus.FAILED) -> VerdictGiven:
    return VerdictGiven(ATTEMPT, gate, 1, status, findings)


def test_a_fingerprint_is_of_what_failed_and_not_of_lines_numbers_blanks_or_order() -> None:
    one, other = Finding("F1", "took 3 s", file="a.py", line=7), Finding("F2", "bad \udce9 name", file="b\udce9.py")
    same = fingerprint([_verdict(one, other)])
    alike = Finding("F1", " TOOK  41 s", file="a.py", line=9)
    assert fingerprint([_verdict(other, alike, alike)]) == same
    passed = _verdict(Finding("F3", "more"), gate="code/lint", status=VerdictStatus.PASSED)
    assert fingerprint([passed, _verdict(other), _verdict(one)]) == same
    others = [
        [_verdict(one)],
        [_verdict(one, other, gate="code/lint")],
        [_verdict(Finding("F9", "took 3 s", file="a.py"), other)],
        [_verdict(Finding("F1", "took 3 s", file="c.py"), other)],
        [_verdict(Finding("F1", "took long", file="a.py"), other)],
    ]
    assert len({same, *map(fingerprint, others)}) == 6
    assert fingerprint([]) == fingerprint([passed])


def test_an_agent_is_told_how_many_held_out_checks_failed_and_nothing_else_of_them() -> None:
    seen, hidden = Finding("F1", "one"), Finding("H1", "secret", secret=True)
    verdicts = [
        _verdict(seen, hidden),
        _verdict(hidden, hidden, gate="code/hidden"),
        _verdict(seen, gate="code/lint", status=VerdictStatus.PASSED),
    ]
    assert for_agent(verdicts) == (
        ("code/test", seen),
        ("code/test", Finding("held-out", "1 held-out check failed")),
        ("code/hidden", Finding("held-out", "2 held-out checks failed")),
    )


def test_a_reviewer_who_was_asked_again_is_nothing_for_the_next_attempt() -> None:
    wrong, note = Finding("critic", "wrong"), Finding(ASKED_AGAIN, "critic: asked 2 times", Severity.NOTE)
    assert for_agent([_verdict(wrong, note)]) == (("code/test", wrong),)
    assert fingerprint([_verdict(wrong, note)]) == fingerprint([_verdict(wrong)])


def test_reasons_are_those_of_what_failed() -> None:
    failed = _verdict(Finding("F", "m", reason="style"), Finding("F", "m", reason="design"), Finding("F", "m"))
    assert reasons([failed, failed]) == ("design", "style")
    assert reasons([_verdict(Finding("F", "m", reason="x"), status=VerdictStatus.PASSED)]) == ()


def _checks_the_file(node: ast.stmt) -> bool:
    """What such a function says is for who writes the pipeline."""
    return isinstance(node, ast.FunctionDef) and [arg.arg for arg in node.args.args[:1]] == ["view"]


def messages() -> Iterator[str]:
    """What gates can say: each text of the code, with those of its module that it names filled in."""
    for path in GATES.rglob("*.py"):
        tree = ast.parse(path.read_text())
        tree.body = [node for node in tree.body if not _checks_the_file(node)]
        named = {
            target.id: str(node.value.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        parts -= {node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
        texts = (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.Constant))
        yield from (_text(node, named) for node in texts if node not in parts)


def _text(node: ast.AST, named: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value, named) for value in values)
        case ast.FormattedValue(value=ast.Name(id=name)):
            return named.get(name, "NAME")
        case ast.FormattedValue():
            return "NAME"
        case _:
            return ""
