"""The guard around every test does hold."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest


def test_the_users_home_is_out_of_bounds() -> None:
    real = Path(pwd.getpwuid(os.getuid()).pw_dir)
    if not real.is_dir() or real == Path("/"):
        pytest.skip("this user has no home")
    with pytest.raises(AssertionError, match="home"):
        (real / ".interlock-out-of-bounds").open()


def test_home_is_the_tests_own(own_home: Path) -> None:
    assert Path.home() == own_home
    assert os.environ["XDG_STATE_HOME"].startswith(str(own_home))


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_the_network_is_out_of_bounds(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as connection, pytest.raises(AssertionError, match="loopback"):
        connection.connect((host, 9))


def test_names_are_not_looked_up() -> None:
    with pytest.raises(AssertionError, match="loopback"):
        socket.getaddrinfo("example.invalid", 80)


def test_loopback_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        server.accept()[0].close()


def test_git_is_told_who_by_environment_alone() -> None:
    names = {name for name in os.environ if name.startswith("GIT_")}
    assert names == {"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"}
