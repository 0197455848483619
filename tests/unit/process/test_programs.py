"""What of our environment a program sees: no folder of the checkout among those where programs are looked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.ports import Checkout
from interlock.process import checkout_environment, own_environment, relative_path_entries, scrubbed


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


def test_a_program_of_the_user_sees_all_but_secrets_and_git() -> None:
    environ = {"HOME": "/root", "KEY": "k", "GIT_DIR": "/x", "PATH": "."}
    assert own_environment(environ, ("KEY",)) == {"HOME": "/root", "PATH": "."}


def test_the_environment_of_a_checkout() -> None:
    checkout = Checkout(Path("/c"), Path("/c/tree"), Path("/c/home"), Path("/c/tmp"), (("A", "setup"), ("B", "setup")))
    environ = {"HOME": "/root", "A": "ours", "B": "ours", "C": "ours", "D": "ours"}
    more = {"B": "more", "HOME": "/elsewhere"}
    own = {"HOME": "/c/home", "TMPDIR": "/c/tmp"}
    assert (
        checkout_environment(environ, checkout, ("A", "C", "HOME"), more)
        == {"A": "setup", "B": "more", "C": "ours"} | own
    )
