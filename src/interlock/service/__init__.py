"""What surfaces call: start, answer, describe. The library behind the verbs; it never talks to a terminal.

Importing the package loads nothing: what a person answers is checked where no run can be started or judged.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.service.answers import AnswerRequest
    from interlock.service.checks import Checked, CheckRequest
    from interlock.service.runs import RunRequest
    from interlock.service.service import Service

__all__ = ["AnswerRequest", "CheckRequest", "Checked", "RunRequest", "Service"]

_LAZY = {
    "AnswerRequest": "answers",
    "CheckRequest": "checks",
    "Checked": "checks",
    "RunRequest": "runs",
    "Service": "service",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
