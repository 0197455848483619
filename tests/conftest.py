"""What holds for every test: it has a home of its own, no identity but ours, no network beyond loopback, and the
signals of a program at a terminal, whoever started the tests.

Touching the user's home or connecting to another machine raises `OutOfBounds`, so a test that does it fails.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import pwd
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from tests.nightly import SLOW, beyond, divided, longest_first, slow_tests
from tests.plain_python import plain_python

_REPOSITORY = Path(__file__).resolve().parent.parent
_HOMES = {os.path.realpath(home) for home in (Path.home(), pwd.getpwuid(os.getuid()).pw_dir)} - {"/"}
_GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Test Author",
    "GIT_AUTHOR_EMAIL": "author@example.invalid",
    "GIT_COMMITTER_NAME": "Test Committer",
    "GIT_COMMITTER_EMAIL": "committer@example.invalid",
}
_SANDBOX = os.environ.get("INTERLOCK_SANDBOX", "none")  # INTERLOCK_SANDBOX=full pytest ...: every run in rooms
_CLEARED_PREFIXES = ("GIT_", "INTERLOCK_", "XDG_")
_CLEARED = ("CI", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "PAGER", "EDITOR", "VISUAL")
_PATH_EVENTS = frozenset(
    {
        "open", "os.chmod", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir", "os.symlink",
        "os.truncate", "shutil.rmtree",
    }
)  # fmt: skip
_ADDRESS_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_NAME_EVENTS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also those marked `nightly`, as scripts/nightly does")


def pytest_configure(config: pytest.Config) -> None:
    """The examples of Hypothesis are the same in every push; --all takes new ones (--hypothesis-seed N: those of N)."""
    fixed = not config.getoption("all")
    hypothesis.settings.register_profile("interlock", deadline=None, print_blob=True, derandomize=fixed)
    hypothesis.settings.load_profile("interlock")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a path, the longest tests come first. Without --all as well, those marked `nightly` and those that
    `slow.txt` lists are deselected."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    items[:] = longest_first(items, lambda item: item.nodeid)
    if not config.getoption("all"):
        items[:], marked = divided(items, lambda item: item.get_closest_marker("nightly") is not None)
        left_out = beyond((item.nodeid for item in items), slow_tests(SLOW.read_text()))
        items[:], slow = divided(items, lambda item: item.nodeid in left_out)
        config.hook.pytest_deselected(items=[*marked, *slow])


def _hear_signals() -> None:
    """A shell starts what goes to the background with SIGINT ignored, `nohup` with SIGHUP, and each program hands
    that on to those below it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


_hear_signals()


class OutOfBounds(AssertionError):
    """A test touched what is not its own."""


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("homes")
    return (base / str(number) for number in itertools.count())


@pytest.fixture(scope="session", autouse=True)
def _programs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`python3` is a plain one; next come the programs of our own environment."""
    folders = [plain_python(tmp_path_factory.mktemp("plain") / "python"), Path(sys.executable).parent]
    os.environ["PATH"] = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])


@pytest.fixture(autouse=True)
def own_home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """HOME and XDG_* of this test alone, git identity by environment, and nothing of the caller's GIT_*."""
    home = next(_homes)
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(_CLEARED_PREFIXES) or name in _CLEARED:
            monkeypatch.delenv(name)
    own = {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "INTERLOCK_SANDBOX": _SANDBOX,  # a test of the sandbox asks for it
        **_GIT_IDENTITY,
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    return home


def _allowed_under_home() -> tuple[str, ...]:
    """The places that Python and the tests need and that may lie in a home: themselves, the interpreter, programs."""
    agents = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "interlock-agents")  # scripts/agents
    places = [
        _REPOSITORY, agents, tempfile.gettempdir(), sys.prefix, sys.base_prefix, sys.exec_prefix,
        *sysconfig.get_paths().values(), *filter(None, sys.path), *filter(None, os.environ["PATH"].split(os.pathsep)),
    ]  # fmt: skip
    return tuple(os.path.realpath(place) for place in places)


_ALLOWED = _allowed_under_home()
_PACKAGES = ("/site-packages", "/dist-packages", "/node_modules")  # of other interpreters: looked at, never used


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    if event in _PATH_EVENTS:
        _guard_path(arguments[0])
    elif event in _ADDRESS_EVENTS:
        _guard_address(arguments[1])
    elif event in _NAME_EVENTS:
        _guard_host(arguments[0])


def _guard_path(argument: object) -> None:
    if not isinstance(argument, str | bytes | os.PathLike):
        return
    path = os.path.abspath(os.fsdecode(argument))  # noqa: PTH100 - pathlib here would recurse
    if not any(_within(path, home) for home in _HOMES) or path.endswith(_PACKAGES):
        return
    if not any(_within(path, place) for place in _ALLOWED):
        raise OutOfBounds(f"a test touched the user's home: {path}")


def _guard_address(address: object) -> None:
    if isinstance(address, tuple) and address:
        _guard_host(address[0])


def _guard_host(host: object) -> None:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return
    try:
        loopback = ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise OutOfBounds(f"a test used the network beyond loopback: {host}")


sys.addaudithook(_guard)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How often the simulated runs took each transition of the state table, over all processes."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    parts = [value for one in reports for name, value in one.user_properties if name == "simulated"]
    if parts:
        from tests.simulation.campaign import report  # only where runs were simulated

        terminalreporter.section("simulated runs: transitions taken")
        terminalreporter.write_line("\n".join(report(parts)))
