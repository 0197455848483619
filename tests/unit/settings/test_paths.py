"""Where things lie, as a pure function of the environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.ports import UsageError
from interlock.settings import is_run_id, new_run_id, paths_of, repository_key


def test_home_is_the_fallback() -> None:
    paths = paths_of({"HOME": "/h"})
    assert (paths.state, paths.config, paths.cache) == (
        Path("/h/.local/state/interlock"),
        Path("/h/.config/interlock"),
        Path("/h/.cache/interlock"),
    )


def test_xdg_wins_and_a_relative_one_is_ignored() -> None:
    paths = paths_of({"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "relative"})
    assert paths.state == Path("/s/interlock")
    assert paths.cache == Path("/h/.cache/interlock")


def test_the_state_folder_can_be_named() -> None:
    assert paths_of({"HOME": "/h", "INTERLOCK_STATE_HOME": "/here"}).state == Path("/here")
    with pytest.raises(UsageError, match="absolute"):
        paths_of({"HOME": "/h", "INTERLOCK_STATE_HOME": "here"})


def test_the_cache_folder_can_be_named() -> None:
    assert paths_of({"HOME": "/h", "INTERLOCK_CACHE_HOME": "/here"}).cache == Path("/here")
    assert paths_of({"HOME": "/h", "INTERLOCK_CACHE_HOME": "/here"}).is_cache_shared
    assert not paths_of({"HOME": "/h"}).is_cache_shared
    with pytest.raises(UsageError, match="INTERLOCK_CACHE_HOME is 'here'"):
        paths_of({"HOME": "/h", "INTERLOCK_CACHE_HOME": "here"})


@pytest.mark.parametrize(("state", "cache"), [("/i", "/i"), ("/i", "/i/cache"), ("/i/state", "/i")])
def test_checkouts_and_state_do_not_lie_in_each_other(state: str, cache: str) -> None:
    with pytest.raises(UsageError, match="contain each other"):
        paths_of({"HOME": "/h", "INTERLOCK_STATE_HOME": state, "INTERLOCK_CACHE_HOME": cache})


def test_no_home_is_said() -> None:
    with pytest.raises(UsageError, match="HOME"):
        paths_of({})


@pytest.mark.parametrize(
    ("common_dir", "name"),
    [
        ("/src/Shop/.git", "shop"),
        ("/srv/shop.git", "shop"),
        ("/src/Ünï code!/.git", "n-code"),
        ("/src/日本/.git", "repository"),
        ("/.git", "repository"),
    ],
)
def test_a_repository_has_a_readable_key(common_dir: str, name: str) -> None:
    key = repository_key(Path(common_dir))
    assert key.rpartition("-")[0] == name
    assert len(key.rpartition("-")[2]) == 12


def test_two_repositories_of_one_name_differ() -> None:
    assert repository_key(Path("/a/shop/.git")) != repository_key(Path("/b/shop/.git"))


def test_what_is_kept_of_a_repository(tmp_path: Path) -> None:
    kept = paths_of({"HOME": str(tmp_path)}).repository(Path("/src/shop/.git"))
    names = (kept.journal, kept.store, kept.blobs, kept.former_places, kept.run_lock("r1"))
    assert [str(path.relative_to(kept.root)) for path in names] == [
        "journal.db", "store.git", "blobs", "places", "locks/r1.lock",
    ]  # fmt: skip
    assert kept.places.name == "places"
    assert kept.places.parent.parent == tmp_path / ".cache/interlock"
    assert kept.places.parent.name.startswith("shop-")


def test_two_states_of_a_repository_share_no_checkouts() -> None:
    of = {
        name: paths_of({"HOME": "/h", "XDG_STATE_HOME": name}).repository(Path("/src/shop/.git"))
        for name in ["/a", "/b"]
    }
    assert of["/a"].places != of["/b"].places
    assert of["/a"].root.name == of["/b"].root.name


def test_a_run_id_fits_a_ref() -> None:
    from interlock.settings import new_run_id

    ref = f"refs/interlock/{new_run_id(0.0, bytes(4))}/code/1.1"
    assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


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
