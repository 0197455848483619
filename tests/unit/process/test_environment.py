"""What of our environment a program sees: no folder of the checkout among those where programs are looked for."""

from __future__ import annotations

import os

import pytest

from interlock.process import relative_path_entries, scrubbed


@pytest.mark.parametrize(
    ("path", "kept", "left_out"),
    [
        ("/usr/bin:/bin", "/usr/bin:/bin", ()),
        ("./bin:/usr/bin", "/usr/bin", ("./bin",)),
        ("/usr/bin:.", "/usr/bin", (".",)),
        ("/usr/bin:", "/usr/bin", ("",)),
        (":/usr/bin::/bin", "/usr/bin:/bin", ("",)),
        ("node_modules/.bin:/usr/bin:~/bin", "/usr/bin", ("node_modules/.bin", "~/bin")),
        ("bin:.", os.defpath, ("bin", ".")),
        ("", os.defpath, ("",)),
    ],
)
def test_no_program_is_looked_for_in_the_checkout(path: str, kept: str, left_out: tuple[str, ...]) -> None:
    assert scrubbed({"PATH": path}) == {"PATH": kept}
    assert scrubbed({"PATH": path}, ("PATH",)) == {"PATH": kept}
    assert relative_path_entries({"PATH": path}) == left_out


def test_without_a_path_there_is_none() -> None:
    assert (scrubbed({"HOME": "/root"}), relative_path_entries({})) == ({}, ())
