"""A verdict in words: of a gate, of a person, and of a limit that ended the work."""

from __future__ import annotations

from interlock.cli.words import gate_name, place, safe, traits
from interlock.core.events import VerdictGiven, VerdictStatus
from interlock.core.feedback import passed_limit
from interlock.readmodel.reasons import about_command, headline, without_notes
from interlock.service.formats import count
from interlock.text.names import rejected_by


def verdict_words(event: VerdictGiven) -> str:
    """`gate test failed: 2 findings (tests/test_x.py:14 message)`."""
    name = f"gate {gate_name(event.gate, '' if event.subject.is_base else event.subject.stage)}"
    match event.status:
        case VerdictStatus.PASSED:
            said = about_command(event.findings)
            return f"{name} passed{traits(event)}" + (f"; note: {safe(said)}" if said else "")
        case VerdictStatus.FAILED if event.by and event.findings:
            return safe(rejected_by(event.by, event.findings[0].message))
        case VerdictStatus.FAILED if limit := passed_limit(event):
            return first_line(limit)
        case VerdictStatus.FAILED:
            return f"{name} failed{traits(event)}: {_findings(event)}"
        case VerdictStatus.ERRORED:
            why = safe(headline(event.findings[0]).message) if event.findings else "no reason given"
            return f"{name} errored{traits(event)}: {why}"


def first_line(text: str, limit: int = 140) -> str:
    """The first line; `logs` shows the rest."""
    return safe(text.strip().partition("\n")[0], limit)


def _findings(event: VerdictGiven) -> str:
    if not event.findings:
        return "no findings given"
    wrong = without_notes(event.findings)
    telling = next((one for one in event.findings if one.rule == "sandbox"), wrong[0])  # it says what to do
    first, notes = headline(telling), len(event.findings) - len(wrong)
    message = first_line(first.message)
    named = "" if first.file and message.startswith(first.file) else place(first)
    where = " ".join(part for part in (named, message) if part)
    more = " ..." if len(event.findings) > 1 and not where.endswith("...") else ""
    noted = f" and {count(notes, 'note')}" if notes else ""
    return f"{count(len(wrong), 'finding')}{noted} ({where}{more})"
