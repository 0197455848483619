"""Why a run is not accepted: each gate that did not pass, with its first finding. Pure, from the past.

Rule: hard gates come first. A reason says in how many attempts in a row the same was wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile

from interlock.core.events import Finding, Severity, VerdictGiven, VerdictStatus
from interlock.core.feedback import ASKED_AGAIN, CHANGED_FILES, LIMIT, TOOLS, passed_limit, same_words
from interlock.core.state import RunState
from interlock.readmodel.history import AttemptPhase, AttemptView, Past

_NO_CANDIDATE = (AttemptPhase.ERRORED, AttemptPhase.LOST)
WITH_OUTPUT = frozenset({"exit", "report", "timeout", "not_found", "setup"})  # rules: a line of ours, then output
_ERROR = re.compile(r"^E   (?!\s*[+-])|\w*(?:Error|Exception)\b|\berror:|\bFAILED\b")
_PLACED = re.compile(r"^\s*[^\s:]+:\d+:")
_OF_MAKE = re.compile(r"^g?make(\[\d+\])?: ")
_MARKED = re.compile(r"^E\s+")  # by pytest
_PLACES = (re.compile(r'File "([^"]+)", line (\d+)'), re.compile(r"(?:^|[\s(])([^\s:()]+\.\w+):(\d+)\b"))
_OF_TEST = "test_failed"  # the rule of a finding whose first line names the test, and whose others are its failure
WITH_HEADLINE = WITH_OUTPUT | {_OF_TEST}
_FAILED_TEST = re.compile(r"(?P<id>.+) failed(?P<was> \(it [^()]*\))?")
_SAYS_NOTHING = re.compile(r"(?:test )?(?:failed|failure|error)[.:]?", re.IGNORECASE)
_PLACE_NEAR = 8  # lines before the error
_ENDS_MAX = 4  # lines of an output without an error
_Mark = tuple[str, frozenset[str]]  # a status and what the findings say: equal for what is wrong in the same way


@dataclass(frozen=True, slots=True)
class Reason:
    """`attempt` is empty for the base and for an input, `gate` (STAGE/GATE) for an attempt that ended without a
    candidate. `message` begins with the line of an output that says what is wrong, if there is one. `times` counts this
    attempt and those directly before it in which the same was wrong."""

    stage: str
    attempt: str
    gate: str
    status: VerdictStatus
    hard: bool
    message: str
    rule: str = ""
    file: str = ""
    line: int = 0
    findings: int = 0
    times: int = 1
    by: str = ""  # the person who rejected

    @property
    def limited(self) -> bool:
        """Whether a limit of the sandbox ended the work, as the message says."""
        return self.rule == LIMIT and self.gate.endswith("/scope")


def reasons(state: RunState, past: Past) -> Iterator[Reason]:
    """Of each stage that is not settled: from its newest attempt that has ended, else from its input. Before the first
    attempt also from the base."""
    found = [reason for name, stage in state.stages.items() if not stage.settled for reason in _of_stage(past, name)]
    if not any(past.attempts.values()):
        found += [_of_verdict("", "", verdict, 1) for verdict in _open(view.verdict for view in past.base)]
    yield from sorted(found, key=lambda reason: not reason.hard)


def alike(attempts: Iterable[AttemptView]) -> Iterator[Sequence[AttemptView]]:
    """Attempts in a row that ended in the same way, for the same reasons, as one group."""
    return (tuple(group) for _, group in groupby(attempts, key=lambda one: (one.phase, one.why, _marks(one))))


def without_notes(findings: Sequence[Finding]) -> Sequence[Finding]:
    """The findings that say what is wrong; all of them where none does."""
    return tuple(finding for finding in findings if finding.severity is not Severity.NOTE) or findings


def has_output(finding: Finding) -> bool:
    """Whether its message is a line of ours and the end of a program's output."""
    return finding.rule in WITH_OUTPUT and "\n" in finding.message.strip()


def headline(finding: Finding) -> Finding:
    """Of a test that failed: its name and why. Of a message that ends with a program's output: its last line that looks
    like an error, with the place that it or a line near before it names. Else the finding as it is."""
    if finding.rule == _OF_TEST:
        return _of_test(finding)
    output = finding.message.splitlines()[1:]
    at = _error_in(output) if has_output(finding) else None
    if at is None:
        return finding
    file, line = (finding.file, finding.line) if finding.file else _place_in(output[max(0, at - _PLACE_NEAR) : at + 1])
    return replace(finding, message=_MARKED.sub("", output[at]).strip(), file=file, line=line)


def _of_test(finding: Finding) -> Finding:
    """`test_encoded_length[1]: assert 1 == 2`. The whole id is told unless the place is in the file of the test."""
    first, *lines = finding.message.splitlines() or [""]
    failed = _FAILED_TEST.fullmatch(first)
    why = next((line for line in lines if line.strip() and not _SAYS_NOTHING.fullmatch(line.strip())), "")
    if failed is None or not why:
        return finding
    path, bracket, parameters = failed["id"].partition("[")
    module, _, name = path.rpartition("::")
    stem = finding.file.rpartition("/")[2].partition(".")[0]
    own = name if stem and stem in re.split(r"[./:]", module) else path
    return replace(finding, message=f"{own}{bracket}{parameters}: {_MARKED.sub('', why).strip()}{failed['was'] or ''}")


def about_command(findings: Iterable[Finding]) -> str:
    """What a gate notes about its own command or reviewers, which its person should know also where it passed."""
    told = (CHANGED_FILES, ASKED_AGAIN, TOOLS)
    shown = (finding.message for finding in findings if finding.rule in told and not finding.secret)
    return next(shown, "")


def _error_in(output: Sequence[str]) -> int | None:
    """The number of the last line that looks like an error; of those that only name a place, if there is no other."""
    for pattern in (_ERROR, _PLACED):
        found = [at for at, line in enumerate(output) if pattern.search(line) and not _OF_MAKE.match(line)]
        if found:
            return found[-1]
    return None


def _place_in(output: Sequence[str]) -> tuple[str, int]:
    """The last place in the tree, whose paths are relative."""
    for line in reversed(output):
        for pattern in _PLACES:
            named = [found for found in pattern.findall(line) if not found[0].startswith(("/", "<", "."))]
            if named:
                return named[-1][0], int(named[-1][1])
    return "", 0


def _told(finding: Finding) -> Finding:
    """The headline before the whole message; of an output without an error its two ends."""
    first = headline(finding)
    if first is not finding:
        return replace(first, message=f"{first.message}\n{finding.message}")
    lines = finding.message.splitlines()
    if not has_output(finding) or len(lines) <= _ENDS_MAX:
        return finding
    return replace(finding, message="\n".join((lines[0], "...", *lines[2 - _ENDS_MAX :])))


def _of_stage(past: Past, name: str) -> Iterator[Reason]:
    ended = [one for one in past.of_stage(name) if one.phase is not AttemptPhase.WORKING]
    if not ended:
        on_input = _open(view.verdict for view in past.on_input.get(name, ()))
        yield from (_of_verdict(name, "", verdict, 1) for verdict in on_input)
        return
    newest, before = ended[-1], ended[-2::-1]
    if newest.phase in _NO_CANDIDATE:
        times = _in_a_row((one.phase, one.why) == (newest.phase, newest.why) for one in before)
        yield Reason(name, str(newest.id), "", VerdictStatus.ERRORED, hard=True, message=newest.why, times=times)
    for verdict in _open(view.verdict for view in newest.verdicts):
        times = _in_a_row(_mark(verdict) in _marks(one) for one in before)
        yield _of_verdict(name, str(newest.id), verdict, times)


def _of_verdict(stage: str, attempt: str, verdict: VerdictGiven, times: int) -> Reason:
    wrong = without_notes(verdict.findings)
    first = _told(next(iter(wrong), Finding("", "")))
    return Reason(
        stage,
        attempt,
        verdict.gate,
        verdict.status,
        verdict.hard,
        passed_limit(verdict) or first.message,
        first.rule,
        first.file,
        first.line,
        len(wrong),
        times,
        verdict.by,
    )


def _open(verdicts: Iterable[VerdictGiven]) -> Iterator[VerdictGiven]:
    """The newest verdict of each gate, where it did not pass."""
    newest = {verdict.gate: verdict for verdict in verdicts}
    return (verdict for verdict in newest.values() if verdict.status is not VerdictStatus.PASSED)


def _marks(attempt: AttemptView) -> frozenset[_Mark]:
    if not attempt.verdicts:  # most attempts of a long run
        return frozenset()
    return frozenset(_mark(verdict) for verdict in _open(view.verdict for view in attempt.verdicts))


def _mark(verdict: VerdictGiven) -> _Mark:
    findings = (same_words(verdict.gate, finding.file, finding.message) for finding in verdict.findings)
    return verdict.status, frozenset((verdict.gate, *findings))


def _in_a_row(before: Iterable[bool]) -> int:
    """This one, and those directly before it."""
    return 1 + sum(takewhile(bool, before))
