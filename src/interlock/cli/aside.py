"""Setting damaged runs aside, and bringing them back. Rule: nothing of them is removed or changed."""

from __future__ import annotations

from collections.abc import Sequence

from interlock.cli.application import application
from interlock.cli.words import OVER
from interlock.ports import UsageError
from interlock.service.naming import run_named

ALL = "all"


def set_aside(names: Sequence[str]) -> dict[str, str]:
    """Of the damaged runs those of these names, or all; each with what is wrong with it. Raises UsageError, and does
    nothing then; InfrastructureError where one is of a newer version."""
    with application() as app:
        damaged = {run.id: run.why for run in app.service.damaged_runs()}
        chosen = list(damaged) if ALL in names else [run_named(app.service.run_ids(), name) for name in names]
        for run in chosen:
            if run not in damaged:
                phase = app.service.locate_run(run).phase
                cure = "nothing is to be done" if phase in OVER else f"`interlock cancel {run}` ends it"
                raise UsageError(f"run {run} is {phase}, and not damaged: {cure}")
        for run in chosen:
            app.aside.put(run, damaged[run])
        return {run: damaged[run] for run in chosen}


def bring_back(names: Sequence[str]) -> list[str]:
    """To the lists. Raises UsageError, and does nothing then."""
    with application() as app:
        aside = app.aside.runs()
        chosen = sorted(aside) if ALL in names else list(names)
        if unknown := [run for run in chosen if run not in aside]:
            there = f": there are {', '.join(sorted(aside))}" if aside else ""
            raise UsageError(f"run {unknown[0]} is not set aside{there}")
        for run in chosen:
            app.aside.bring_back(run)
    return chosen
