"""The values of a supervised program: what to start, under which bounds, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class How(StrEnum):
    """Why a supervised program is no longer there."""

    EXITED = "exited"  # by itself, or by a signal that was not ours
    TIMED_OUT = "timed_out"
    IDLE = "idle"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"  # it never started: no such program, or it may not be executed


@dataclass(frozen=True, slots=True)
class Supervised:
    """An untrusted program and its bounds.

    `env` is complete: nothing is added but PWD. `log` receives stdout and stderr merged, at most about
    `log_bytes_max` bytes of it (first and last part). Changes below `watch` count as life; an
    `idle_timeout_s` of 0 is none. `secrets` are values that reach neither the log nor anybody else.
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
    """How it ended. `code` is the exit code, -N for signal N, None where we ended it or it never began.

    `took_s` is the program's own time, without the clearing away. `tail` is the end of the output
    (at most 64 KiB); for NOT_FOUND it names the program.
    """

    how: How
    code: int | None
    took_s: float
    truncated: bool
    tail: bytes
