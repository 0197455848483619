"""Folders that git takes for repositories, which a candidate made or steers."""

from __future__ import annotations

import pytest

from interlock.gates.forbidden import may_steer, planted

BARE = ("pkg/HEAD", "pkg/objects/keep", "pkg/refs/keep")
LINKED = ("pkg/HEAD", "pkg/commondir")
CASES = {
    "a bare repository": (("pkg/a.py",), (*BARE, "pkg/config"), {"pkg": "pkg/HEAD"}),
    "in other letter case": ((), ("pkg/head", "pkg/Objects/keep", "pkg/REFS/keep"), {"pkg": "pkg/head"}),
    "links in the place of folders": ((), ("pkg/HEAD", "pkg/objects", "pkg/refs"), {"pkg": "pkg/HEAD"}),
    "one whose parts lie elsewhere": ((), LINKED, {"pkg": "pkg/HEAD"}),
    "deep": ((), tuple(f"a/b/{path}" for path in LINKED), {"a/b/pkg": "a/b/pkg/HEAD"}),
    "at the root": ((), ("HEAD", "objects/a", "refs/a"), {".": "HEAD"}),
    "the last part of one": (BARE[:2], BARE[2:], {"pkg": "pkg/refs/keep"}),
    "the config of one that was there": (BARE, ("pkg/config",), {"pkg": "pkg/config"}),
    "a hook of one that was there": (BARE, ("pkg/hooks/pre-commit",), {"pkg": "pkg/hooks/pre-commit"}),
    "objects of one that was there": (BARE, ("pkg/objects/more", "pkg/refs/heads/x"), {}),
    "beside one that was there": (BARE, ("pkg/a.py", "config"), {}),
    "names that are no repository": ((), ("pkg/HEAD", "pkg/objects/a.py", "pkg/config"), {}),
    "parts in several folders": ((), ("a/HEAD", "b/objects/x", "c/refs/x"), {}),
}


@pytest.mark.parametrize(("before", "changed", "found"), CASES.values(), ids=CASES)
def test_what_is_planted(before: tuple[str, ...], changed: tuple[str, ...], found: dict[str, str]) -> None:
    assert planted(before, (*before, *changed), changed) == found
    assert may_steer(changed) or not found
