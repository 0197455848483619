"""What a rejection says: to the next attempt, to no-progress, to the reader. Pure text and hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from interlock.core.events import Finding, Severity, VerdictGiven, VerdictStatus

TOOLS = "tools"  # the rule of what fails by the tools of one machine, and did not by those of another
CHANGED_FILES = "changed_files"  # the rule of a note on a gate whose command changed files of its own checkout
ASKED_AGAIN = "asked_again"  # the rule of a note on a reviewer whose answer was refused: for people only
MORE = "more"  # the rule of a finding that counts those which are not in the verdict
LIMIT = "limit"  # the rule of a finding on what a limit of the sandbox ended
ESCALATE = "escalate"  # the reason class of a finding that only a person can answer
# What a finding says to who wrote the pipeline: nothing that an agent can do.
_FOR_AUTHORS = re.compile(
    r"""
    (?<!\S) \S+ \s is \s not \s in \s the \s sandbox: \s add \s it \s to \s `read`
      \s under \s `sandbox` \s in \s the \s pipeline (;\s)?
    | ; \s only \s a \s stage \s (that|with) \s `(authors|adds) .*? \s may (\s (change|add) \s (it|that))? $
    | , \s or \s let \s the \s stage \s say \s `[^`]*`
    | , \s or \s set \s `may_be_empty:[^`]*` \s in \s the \s stage
    | , \s or \s raise \s the \s gate's \s `timeout`
    | : \s install \s it, \s or \s correct \s the \s gate
    | , \s or \s correct \s the \s gate
    | : \s let \s the \s gate \s run \s all \s tests .*? name \s its \s runner
    | : \s name \s test \s files \s that \s it \s runs, \s or \s take \s `breaks` \s out
    | ; \s for \s work \s that \s needs \s none \s there \s is \s a \s pipeline .*? \) $
    """,
    re.VERBOSE | re.MULTILINE,
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\d+")  # an address is another one in each process
_WAS_ENDED = " was ended: "
_BLANK = re.compile(r"\s+")


def failed(verdicts: Iterable[VerdictGiven]) -> tuple[VerdictGiven, ...]:
    return tuple(verdict for verdict in verdicts if verdict.status is VerdictStatus.FAILED)


def fingerprint(verdicts: Iterable[VerdictGiven]) -> str:
    """The same for the same findings, whatever their lines, numbers, blanks and order."""
    said = {
        "\x1f".join((verdict.gate, finding.rule, finding.file, _plain(finding.message)))
        for verdict in failed(verdicts)
        for finding in verdict.findings
        if finding.rule != ASKED_AGAIN
    }
    return hashlib.sha256("\x1e".join(sorted(said)).encode("utf-8", "surrogateescape")).hexdigest()


def for_agent(verdicts: Iterable[VerdictGiven]) -> tuple[tuple[str, Finding], ...]:
    """Gate and finding, as an agent may see them: held-out ones as a count only, and nothing of what the sandbox hides,
    or an agent would learn what there is on the machine."""
    shown: list[tuple[str, Finding]] = []
    for verdict in failed(verdicts):
        told = [finding for finding in verdict.findings if finding.rule not in (ASKED_AGAIN, "sandbox")]
        open_ones = [finding for finding in told if not finding.secret]
        hidden = len(told) - len(open_ones)
        shown.extend((verdict.gate, finding) for finding in open_ones)
        if hidden:
            shown.append(
                (
                    verdict.gate,
                    Finding(rule="held-out", message=f"{hidden} held-out check{'' if hidden == 1 else 's'} failed"),
                )
            )
    return tuple(shown)


def for_worker(message: str) -> str:
    """A finding's message without what it says to who wrote the pipeline."""
    return _FOR_AUTHORS.sub("", message)


def same_words(gate: str, file: str, message: str) -> str:
    """Equal for findings that say the same, whatever their numbers and blanks."""
    return "\x1f".join((gate, file, _plain(message)))


def passed_limit(verdict: VerdictGiven) -> str:
    """`ended by a limit: memory: used more than 2.0 GB` if the verdict says so of the work itself, else empty. Such a
    verdict is kept as one of the scope gate, which saw no tree."""
    if verdict.status is not VerdictStatus.FAILED or not verdict.gate.endswith("/scope"):
        return ""
    message = next((finding.message for finding in verdict.findings if finding.rule == LIMIT), "")
    program, ended, limit = message.partition(_WAS_ENDED)
    return f"ended by a limit: {limit if ended else program}" if message else ""


def reasons(verdicts: Iterable[VerdictGiven]) -> tuple[str, ...]:
    said = {finding.reason for verdict in failed(verdicts) for finding in verdict.findings if finding.reason}
    return tuple(sorted(said))


def files(verdicts: Iterable[VerdictGiven]) -> tuple[str, ...]:
    """The files in which the findings lie that fail the candidate; an empty name among them where some name none. What
    is held out names none."""
    said = {
        "" if finding.secret else finding.file
        for verdict in failed(verdicts)
        for finding in verdict.findings
        if finding.severity is Severity.ERROR and finding.rule != MORE
    }
    return tuple(sorted(said))


def _plain(message: str) -> str:
    return _BLANK.sub(" ", _NUMBER.sub("#", message)).strip().lower()
