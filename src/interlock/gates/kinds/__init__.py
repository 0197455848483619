"""Kinds of gates: what each of them declares, and finding them by name. A kind is one module here, named like its key.

Rule: light to import, since every verb that reads a recorded pipeline needs it. A module here imports little at its
top; what it judges with is imported by its `judge`.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from interlock.core.pipeline import GATE_TIMEOUT_S, Gate, GateOptions, Pipeline, Stage
from interlock.ports import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interlock.gates.referee import GateContext
    from interlock.ports import Cancel, GateRequest, Judgement


KeyPath: TypeAlias = "tuple[str | int, ...]"  # where a value is, such as ("stages", "code", "gates", 0, "traces")
T = TypeVar("T", bound=GateOptions)


class View(Protocol):
    """The pipeline that is being checked; `error`, `at_key` and `warn` report what is wrong with it."""

    @property
    def pipeline(self) -> Pipeline: ...

    @property
    def partial(self) -> frozenset[str]:
        """Stages before which something is unknown, since the file is invalid there."""
        ...

    @property
    def root(self) -> Path: ...

    def files(self) -> tuple[str, ...]:
        """The repository's files, as paths from its root."""
        ...

    def error(self, path: KeyPath, message: str, hint: str) -> None: ...

    def at_key(self, path: KeyPath, message: str, hint: str) -> None: ...

    def warn(self, path: KeyPath, message: str, hint: str) -> None: ...

    def is_broken(self, *path: str | int) -> bool: ...

    def has(self, *path: str | int) -> bool: ...

    def unknown_agent(self, name: str) -> str:
        """A hint if there is no such agent, else empty."""
        ...

    def documents(self, stage: Stage) -> set[str]:
        """STAGE/NAME of all documents that the stage and those before it produce."""
        ...

    def nearest(self, word: str, known: set[str], otherwise: str) -> str:
        """A hint: the most similar known word, or all known words, or `otherwise`."""
        ...


@dataclass(frozen=True, slots=True)
class OutsideRun:
    """How `interlock check` runs a gate without a run. `scoped`: the difference is the work of one stage; `inside`: it
    is that of one attempt on its input. `unchanged`: nothing differs; `proposes_nothing`: nothing differs from the base
    of a proposal."""

    scoped: bool
    inside: bool
    unchanged: bool
    proposes_nothing: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """The declaration of a kind, `KIND` in its module. The fields of `options` are its keys in the file."""

    name: str
    summary: str  # the description of its key in the schema
    judge: Callable[[GateContext, GateRequest, Cancel], Judgement] | None  # None: people answer it
    options: type[GateOptions] | None = None  # None: it has no fields of its own, or they are fields of `Gate`
    complete: Callable[[GateOptions], GateOptions] | None = None  # sets defaults that depend on other fields
    takes: tuple[str, ...] = ()  # common keys of gates that it accepts, such as timeout
    timeout_s: int = GATE_TIMEOUT_S
    is_written: bool = True  # it is written in the file; else it is built in
    names_files: bool = True  # its findings can name files
    gives_reasons: bool = False  # its findings have reasons that `on_reject` can match
    only_reads: bool = False  # it only reads trees: it starts no program and asks nobody
    for_agents: bool = True  # an agent may run it before it hands over
    check: Callable[[View, Stage, Gate, KeyPath], None] | None = None  # mistakes that no single field shows
    outside_run: Callable[[Gate, OutsideRun], str] | None = None  # why it cannot judge without a run; empty if it can
    brief_line: Callable[[Pipeline, Stage, Gate], str] | None = None  # its line in the brief of the agent
    plan_line: Callable[[Gate], str] | None = None  # its line in `interlock plan`


def option(
    summary: str = "",
    *,
    default: Any = MISSING,  # noqa: ANN401 - typed as what it stands for, like dataclasses.field
    key: str = "",
    form: str = "",
    unset: Any = MISSING,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """A field of a kind's options. `key`: its name in the file if it differs; `form`: glob, path, name, variable,
    duration or several (at least one); `unset`: its value if the file does not have it, if not `default`."""
    metadata = {"summary": summary, "key": key, "form": form, "unset": default if unset is MISSING else unset}
    return field(default=default, metadata=metadata)


def options_of(gate: Gate, options: type[T]) -> T:
    """The gate's own fields. Raises UsageError if they are of another kind."""
    if not isinstance(gate.options, options):
        raise UsageError(f"the gate {gate.id} of kind {gate.kind} has no fields of {options.__name__}")
    return gate.options


def names() -> tuple[str, ...]:
    return _names(tuple(__path__))


def find(name: str) -> Kind:
    """The kind with this name. Raises KeyError."""
    if name not in names():
        raise KeyError(name)
    kind: Kind = import_module(f"{__name__}.{name}").KIND
    return kind


def all_kinds() -> tuple[Kind, ...]:
    """All kinds, by name."""
    return tuple(find(name) for name in names())


@cache
def _names(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(module.name for module in iter_modules(path)))
