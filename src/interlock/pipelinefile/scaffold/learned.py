"""What was learned by asking the written gates once, on what is there now, and how it is written down."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.core.programs import PROGRAMS
from interlock.pipelinefile.load import LINE

NAMES_MAX = 12  # of failing tests, in a comment


@dataclass(frozen=True, slots=True)
class GateLearned:
    """What one gate said. `failing`: the tests that fail today, where it told them apart; `why`: else its first words.
    `can_run` is False where it could not decide at all, `heeds` where it is green with each
    test file broken, too; `unheeded` are the files of `breaks` of which that is so."""

    id: str
    failing: tuple[str, ...] = ()
    why: str = ""
    can_run: bool = True
    heeds: bool = True
    unheeded: tuple[str, ...] = ()

    def is_off(self, *, tests: bool) -> bool:
        """Whether the gate is written as a comment: nobody could pass it, and it is none of the `tests`, so that others
        judge."""
        return self.can_run and not self.failing and not tests


@dataclass(frozen=True, slots=True)
class Learned:
    """Only gates that are not green are in it."""

    gates: tuple[GateLearned, ...] = ()

    def of(self, gate: str) -> GateLearned | None:
        return next((each for each in self.gates if each.id == gate), None)


NOTHING = Learned()


def comment_of(failing: tuple[str, ...]) -> list[str]:
    """The names of the tests that fail, as lines of a comment, bounded."""
    shown = [" ".join(name.split())[:150] for name in failing[:NAMES_MAX]]
    more = len(failing) - len(shown)
    return [
        "fails today, and may go on failing:",
        *(f"  {name}" for name in shown),
        *([f"  and {more} more"] if more > 0 else []),
    ]


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
