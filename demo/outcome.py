"""What became of the run: which attempts were told to fail, and what caught them. Pure, over `show --json`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TOLD = re.compile(r"^scripted agent, seed -?\d+, attempt \S+: (\w+)", re.M)
_HINT = re.compile(r": (?=(?:add|bring|make|put) )")  # where a finding goes on to say what would be right


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt that was told to fail. `caught_by` is empty where it got through."""

    attempt: str
    behaviour: str
    caught_by: str
    said: str
    took_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """`attempts` of agents in all; amounts are as the journal has them."""

    run: str
    phase: str
    branch: str
    commit: str
    base: str
    attempts: int
    failures: tuple[Failure, ...]
    tokens: int
    cost_usd: float
    cost_known: bool
    waits: tuple[str, ...]

    @property
    def got_through(self) -> tuple[Failure, ...]:
        return tuple(failure for failure in self.failures if not failure.caught_by)


def outcome_of(run: dict[str, Any]) -> Outcome:
    """`run` is what `show --json` says of it."""
    attempts = [attempt for stage in run["stages"] for attempt in stage["attempts"]]
    attempts.sort(key=lambda attempt: float(attempt["started_at"]))
    return Outcome(
        run=run["id"],
        phase=run["phase"],
        branch=run["branch"],
        commit=run["commit"],
        base=run["base_commit"],
        attempts=len(attempts),
        failures=tuple(_failures(attempts)),
        tokens=run["spent"]["tokens"],
        cost_usd=run["spent"]["cost_usd"],
        cost_known=run["spent"]["cost_known"],
        waits=tuple(wait["detail"] for wait in run["waits"]),
    )


def _failures(attempts: list[dict[str, Any]]) -> Iterator[Failure]:
    for attempt in attempts:
        told = _TOLD.search(f"{attempt['claim']}\n{attempt['why']}".replace(": scripted agent", "\nscripted agent"))
        behaviour = told.group(1) if told else ""
        if behaviour == "right" or (not behaviour and attempt["phase"] == "accepted"):
            continue
        caught_by, said = _caught(attempt)
        took_s = max(0.0, attempt["ended_at"] - attempt["started_at"])
        yield Failure(attempt["id"], behaviour.replace("_", " "), caught_by, said, took_s)


def _caught(attempt: dict[str, Any]) -> tuple[str, str]:
    failed = [view["verdict"] for view in attempt["verdicts"] if view["verdict"]["status"] == "failed"]
    if failed:
        gates = " and ".join(verdict["gate"].partition("/")[2] for verdict in failed)
        return f"gate {gates}" if len(failed) == 1 else f"gates {gates}", _first(failed[0]["findings"])
    if attempt["phase"] == "errored":
        idle = "was silent" in attempt["why"]
        return ("idle timeout", "silent: ended, tried again") if idle else ("its exit code", "tried again")
    return "", ""


def _first(findings: list[dict[str, Any]]) -> str:
    if not findings:
        return ""
    first = findings[0]
    message = _HINT.split(str(first["message"]).splitlines()[0])[0]
    said = re.sub(r"^[\w.]+::", "", message)
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{said}{more}"
