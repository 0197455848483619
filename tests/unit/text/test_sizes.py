"""Sizes are read as they are written."""

from __future__ import annotations

import pytest

from interlock.text.sizes import read_size, size_words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0 B", 0),
        ("12 kB", 12_000),
        ("500MB", 500_000_000),
        (" 1.5 gb ", 1_500_000_000),
        ("2 TB", 2 * 10**12),
        ("8 GiB", None),
        ("8", None),
        ("-1 MB", None),
        ("1e3 MB", None),
        ("", None),
    ],
)
def test_a_size(text: str, count: int | None) -> None:
    assert read_size(text) == count


@pytest.mark.parametrize("text", ["0 B", "999 B", "1.5 kB", "12 kB", "3.4 MB", "999 MB", "8.0 GB", "1500.0 GB"])
def test_what_is_written_is_read(text: str) -> None:
    count = read_size(text)
    assert count is not None
    assert size_words(count) == text
