"""A supervised program: what to start, its limits, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class How(StrEnum):
    """How a supervised program ended."""

    EXITED = "exited"  # by itself, or by a signal that we did not send
    TIMED_OUT = "timed_out"
    IDLE = "idle"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"  # it did not start: no such program, or it is not executable


@dataclass(frozen=True, slots=True)
class Supervised:
    """An untrusted program and its limits.

    `env` is complete: only PWD is added. `log` receives stdout and stderr merged, at most about `log_bytes_max` bytes
    (the first and the last part). File changes below `watch` count as activity; an `idle_timeout_s` of 0 means no
    timeout. `secrets` are masked in the log and everywhere else.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    log: Path
    timeout_s: float
    stdin: bytes = b""
    idle_timeout_s: float = 0
    log_bytes_max: int = 10_000_000
    watch: tuple[Path, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """How the program ended. `code` is the exit code, -N for signal N, None if we ended it or it did not start.

    `took_s` is the time of the program itself, without the cleanup. `tail` is the end of the output (at most 64 KiB);
    for NOT_FOUND it names the program.
    """

    how: How
    code: int | None
    took_s: float
    truncated: bool
    tail: bytes
