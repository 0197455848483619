"""Names of runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.settings import is_run_id, new_run_id


def test_a_name_is_the_time_and_some_chance() -> None:
    assert new_run_id(1795474007.9, b"\xff\x00\xff\x00") == "20261123-224647-0rz1gz"
    assert is_run_id("20261123-224647-0rz1gz")
    assert not any(map(is_run_id, ("database", "20261123-224647-0rz1gzz", "20261123-224647-0rz1gi")))


@given(
    st.integers(0, 4_000_000_000), st.integers(1, 1_000_000), st.binary(min_size=4, max_size=8), st.binary(min_size=4)
)
def test_names_sort_by_time(now: int, later: int, first: bytes, second: bytes) -> None:
    assert new_run_id(now, first) < new_run_id(now + later, second)


def test_thirty_bits_count() -> None:
    assert len({new_run_id(0.0, (1 << bit).to_bytes(4, "big")) for bit in range(30)}) == 30


def test_too_little_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="4 are needed"):
        new_run_id(0.0, b"abc")
