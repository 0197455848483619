"""What a ready gate is, and the small shell phrases that its line is made of.

Rule: a line that lacks its tool ends with 127 and says which tool; it never passes for want of one.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib import resources

from interlock.core.pipeline import Report

_PROGRAMS = "interlock.spec.sets.programs"


@dataclass(frozen=True, slots=True)
class Ready:
    """A resolved gate. `run` is for `bash -euo pipefail -c`; `why` says what it was decided from.

    `applies` is False where nothing in the folder asks for this gate, `tools` are the programs that
    the line needs on PATH before any setup: by these two `init` decides what to write. `canary` is the recipe of the
    test that must fail.
    """

    run: str
    report: Report
    network: bool
    why: str
    applies: bool = True
    tools: tuple[str, ...] = ()
    canary: str = ""


def plain(run: str, why: str, *tools: str, applies: bool = True, network: bool = False) -> Ready:
    """A gate that is judged by its exit code."""
    return Ready(run, Report.NONE, network, why, applies, tools)


def reporting(report: Report, run: str, why: str, *tools: str, applies: bool = True, network: bool = False) -> Ready:
    """A gate that leaves a report at $REPORT."""
    return Ready(run, report, network, why, applies, tools)


def missing(gate: str, what_to_do: str) -> Ready:
    """A gate that cannot run in this folder: its line says so and ends with 127."""
    return plain(refusal(f"{gate}: {what_to_do}"), what_to_do, applies=False)


def need(gate: str, program: str, what_to_do: str) -> str:
    """A phrase that ends the line with 127 where `program` (a name or a path) is not there."""
    otherwise = refusal(f"{gate}: {program} is missing: {what_to_do}")
    return f"command -v {shlex.quote(program)} >/dev/null || {{ {otherwise}; }}"


def refusal(message: str) -> str:
    return f"echo {shlex.quote(message)} >&2; exit 127"


def inlined(name: str) -> str:
    """A program of ours, quoted to stand after `python3 -I -B -c`: in the line, out of a candidate's reach. Modules of
    ours that it imports stand before it."""
    importing = re.compile(rf"^from {re.escape(_PROGRAMS)}\.(\w+) import .*\n", re.M)
    source = _source(name)
    needed = [_source(f"{module}.py") for module in importing.findall(source)]
    return shlex.quote("\n\n".join((*needed, importing.sub("", source))).strip())


def placed(name: str, target: str) -> str:
    """A phrase that writes a program of ours to `target`, which the shell fills in."""
    return f"printf %s {shlex.quote(_source(name))} > {target}"


def _source(name: str) -> str:
    return resources.files(_PROGRAMS).joinpath(name).read_text(encoding="utf-8")


def lines(*phrases: str) -> str:
    return "\n".join(phrase for phrase in phrases if phrase)
