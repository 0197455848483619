"""What befalls the process that owns a run: it dies, or it is stopped while another takes over."""

from __future__ import annotations

from collections.abc import Callable


class Died(BaseException):
    """The owner was killed here. Nothing of it goes on."""


class Violation(BaseException):
    """A promise does not hold, which nothing may swallow. `promise` is its name in the protocol."""

    def __init__(self, promise: str, what: str) -> None:
        super().__init__(f"{promise}: {what}")
        self.promise = promise


def require(holds: object, promise: str, what: str | Callable[[], str]) -> None:
    if not holds:
        raise Violation(promise, what if isinstance(what, str) else what())
