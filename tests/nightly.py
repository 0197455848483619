"""What a push leaves to the night: `./scripts/test --all`, and whatever is named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

Value = TypeVar("Value")


def rest_at_night(values: Sequence[Value], pushed: int = 1) -> list[Value | object]:
    """Parameters of a test: the first `pushed` at every push, the others, which are like them, at night."""
    return [*values[:pushed], *map(_at_night, values[pushed:])]


def _at_night(value: object) -> object:
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.nightly)
