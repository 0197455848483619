"""The coding agents as `init` writes them: the adapter, and what it may see of the environment by name."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.core.programs import PROGRAMS
from interlock.spec.unfilled import LINE


@dataclass(frozen=True, slots=True)
class Worker:
    """An agent of a pipeline: a program by the name of its adapter; `run` is a line of shell for `use: command`."""

    name: str
    secrets: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    run: str = ""


WORKERS = tuple(Worker(one.name, one.keys, one.env) for one in PROGRAMS)

# What stands for an agent until the user has named one. Its line fails and says so; `validate` and `doctor` warn of it.
UNKNOWN = Worker("coder", run=LINE)
