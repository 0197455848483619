"""Which files of a candidate are not shown, by what was found in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from interlock.core.events import Finding, VerdictGiven, VerdictStatus
from interlock.core.feedback import MORE
from interlock.core.ids import AttemptId
from interlock.gates.reports import FINDINGS_MAX
from interlock.ports import Change
from interlock.readmodel.history import AttemptPhase, AttemptView, VerdictView
from interlock.service.diffs import VisibleDiff, _masked_name, _matches, visible_diff


@pytest.mark.parametrize(
    ("told", "path", "means"),
    [
        ("a.py", "a.py", True),
        ("a.py", "b.py", False),
        ("docs/***.txt", "docs/sk-secret.txt", True),  # whose name held it
        ("***", "sk-secret", True),
        ("a[1]***", "a[1]sk-secret", True),
        ("a[1]***", "a1sk-secret", False),
        ("docs/***.txt", "other/sk-secret.txt", False),
    ],
)
def test_a_name_and_what_is_told_of_it(told: str, path: str, means: bool) -> None:
    assert _matches(told, path) is means


def test_where_findings_were_too_many_to_be_kept_nothing_is_shown() -> None:
    assert _masked_name("other.py", [_rejected(FINDINGS_MAX - 1)]) == ""
    assert _masked_name("a1.py", [_rejected(FINDINGS_MAX - 1)]) == "a1.py"
    assert _masked_name("other.py", [_rejected(FINDINGS_MAX)]) == "***"
    assert _masked_name("a1.py", [_rejected(FINDINGS_MAX)]) == "a1.py"
    assert _masked_name("other.py", [_rejected(3, rule=MORE)]) == "***"


def test_a_name_that_a_former_version_kept_with_hidden_characters_is_the_same() -> None:
    assert _masked_name("a\xad.py", [_rejected(1, "a\xad.py")]) == "a\xad.py"
    assert _masked_name("a\xad.py", [_rejected(1, "a.py")]) == "a.py"


def test_documents_come_after_the_code() -> None:
    paths = (".interlock/artifacts/plan/plan.md", "src/a.py")
    patches = [f"diff --git a/{path} b/{path}\n".encode() for path in paths]
    made = tuple(Change(path, "A", "", "100644", 1, 0) for path in paths)
    workspaces: Any = SimpleNamespace(changes=lambda *_: made, patch=lambda *_: b"".join(patches))
    view: Any = SimpleNamespace(stages=())
    assert visible_diff(workspaces, view, "a", "b").patch == patches[1] + patches[0]
    assert visible_diff(workspaces, view, "a", "b", patch=False) == VisibleDiff((made[1], made[0]))


def _rejected(findings: int, name: str = "", rule: str = "secret") -> AttemptView:
    subject = AttemptId("code", 1, 1)
    found = tuple(Finding(rule, "", file=name or f"a{number}.py") for number in range(findings))
    given = VerdictGiven(subject, "code/scope", 1, VerdictStatus.FAILED, found)
    verdicts = (VerdictView(0.0, given),)
    return AttemptView(subject, AttemptPhase.REJECTED, "own", "", "", "", 0.0, commit="c", verdicts=verdicts)
