"""Ready gates: `use: python.test` to the command that it stands for. Rule: resolved once, when the file is loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from interlock.core.pipeline import Command, Gate, Report
from interlock.spec import sets
from interlock.spec.mistakes import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from interlock.spec.mistakes import Mark, Mistakes
    from interlock.spec.models import GatePart


def ready_gate(gate: Gate, part: GatePart, root: Path, mark: Mark, mistakes: Mistakes) -> Gate:
    """`gate` with the command, report and network of what it uses. An unknown one is told."""
    name = part.use or ""
    if name not in sets.NAMES:
        mistakes.add(mark, f"there is no ready gate {name}", nearest(name, sets.NAMES))
        return replace(gate, used=name)
    try:
        found = sets.resolve(name, root / gate.dir)
    except LookupError as error:
        mistakes.add(
            mark, f"{name} does not fit this repository ({error.args[0]})", "write the command out with `run:`"
        )
        return replace(gate, used=name)
    network = found.network if part.network is None else part.network
    canary = found.canary if part.canary is None and not part.breaks else gate.canary
    gate = replace(gate, command=Command(shell=found.run), report=Report(found.report), network=network, used=name)
    return replace(gate, canary=canary)
