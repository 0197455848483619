"""What the fix must do as well, and what no agent is shown: other formats, signs, neighbours and the largest unit."""

from __future__ import annotations

import humanize
import pytest


@pytest.mark.parametrize(
    "value, options, expected",
    [
        (999_949, {}, "999.9 kB"),
        (999_950, {}, "1.0 MB"),
        (-999_999, {}, "-1.0 MB"),
        (999_999, {"format": "%.3f"}, "999.999 kB"),
        (999_999, {"format": "%.0f"}, "1 MB"),
        (999_500, {"format": "%.0f"}, "1 MB"),
        (1024**3 - 1, {"gnu": True}, "1.0G"),
        (1024**4 - 1, {"binary": True}, "1.0 TiB"),
        (10**33 - 1, {}, "1000.0 QB"),
    ],
)
def test_rounding(value: int, options: dict[str, object], expected: str) -> None:
    assert humanize.naturalsize(value, **options) == expected
