"""What a program may read of the machine, beside the system: the programs on the user's PATH that are outside of it,
and what they link to.

Rule: a home is never bound as a whole, and no folder that may hold more than programs. Of what a link leads to only
the file is bound, unless it is in an installation that is known by its marks.
Rule: entries of PATH in the checkout are not looked at, since the candidate chooses where links in them lead.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path, PurePath

import interlock
from interlock.ports import InfrastructureError, Sandbox

SYSTEM = ("/usr", "/opt", "/nix/store", "/home/linuxbrew/.linuxbrew", "/bin", "/lib", "/lib32", "/lib64", "/sbin")
# Of /etc: nothing that holds keys or passwords, and nothing that says who uses this machine.
ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "chromium.d", "crypto-policies", "debian_version",
    "fonts", "host.conf", "java-8-openjdk", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk",
    "java-25-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime", "magic",
    "maven/logging", "maven/m2.conf", "mime.types", "nsswitch.conf", "os-release", "perl",
    "pki/ca-trust", "pki/tls/certs", "pki/tls/cert.pem", "pki/tls/openssl.cnf", "protocols", "services",
    "ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf", "terminfo", "timezone",
)  # fmt: skip
ETC_OF_NETWORK = ("gai.conf", "hosts", "resolv.conf")
# What programs in a folder of a home need of others there: rustup's are all one program, which starts a toolchain.
_ALSO = {".cargo/bin": (".rustup/toolchains", ".rustup/settings.toml", ".rustup/update-hashes")}
_SYSTEM = (*(f"{folder}/" for folder in SYSTEM), "/etc/")
_MARKS = ("pyvenv.cfg", "conda-meta", "Cellar", "go.env", "lib/rustlib")  # each of an installation
_TOGETHER = (("lib/node_modules", "bin/node"), ("shims", "versions"), ("shims", "installs"))
# What there is of an installation in a folder that is also somebody's work, such as the repository of pyenv.
_PARTS = (
    "bin", "lib", "lib64", "libexec", "pyvenv.cfg", "shims", "version", "versions", "installs", "plugins", "pyenv.d",
    "rbenv.d",
)  # fmt: skip
_OF_PROGRAMS = (".local/share", ".local/pipx", ".local/opt")  # each program has a folder of its own there
_WORK = (".git", ".env", ".envrc")
_KEPT = (".config", ".ssh", ".gnupg", ".aws", ".cache", ".local", ".local/share", ".local/state", ".cargo")
_LINKS_MAX = 5_000  # looked at in one entry of PATH
_HOPS_MAX = 40
_ABSOLUTE = re.compile(r"(?<![\w.~$}/-])/(?:[\w.@+-]+/)*[\w.@+-]+")
_WORD = re.compile(r"[\w.@+-]+")
_MISSES = re.compile(
    r"no such file|not found|does not exist|permission denied|ENOENT|EACCES|(?:cannot|can't|could not|couldn't) \w+",
    re.IGNORECASE,
)
_KEYS = (
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config", ".netrc", ".git-credentials", ".password-store",
)  # fmt: skip
_LINES_MAX, _LINE_MAX, _NAMED_MAX = 20, 2_000, 20  # of an output
_OWN = tuple(map(Path, ("/w", "/dev", "/proc", "/etc")))  # what a room has of its own there


@dataclass(frozen=True, slots=True)
class Reads:
    """Folders and files to bind read-only at their own paths, and links to make: path and target."""

    paths: tuple[Path, ...] = ()
    links: tuple[tuple[Path, str], ...] = ()


def programs_of(path: str, outside: Path) -> Reads:
    """What the entries of this PATH need, without those below `outside`."""
    entries = [entry for entry in path.split(os.pathsep) if entry.startswith("/")]
    wanted = tuple(entry for entry in entries if not _within(Path(os.path.normpath(entry)), (outside,)))
    return _programs_of(wanted)


def is_shown(path: Path, of: str) -> bool:
    """Whether a room shows this path of the machine to a program with the PATH `of`."""
    return _within(path, (*map(Path, SYSTEM), *programs_of(of, Path("/w")).paths))


def named_paths(read: Iterable[str]) -> tuple[Path, ...]:
    """What the pipeline names (`sandbox: {read}`). Raises InfrastructureError."""
    named = tuple(Path(os.path.expanduser(path)) for path in read)  # noqa: PTH111 - does not raise
    if missing := [str(path) for path in named if not os.path.exists(path)]:  # noqa: PTH110 - does not raise
        raise InfrastructureError(
            f"sandbox: read: there is no {', no '.join(missing)}: create {'it' if len(missing) == 1 else 'them'}, or"
            " correct `sandbox` in the pipeline",
            permanent=True,
        )
    return named


def unseen_in(output: bytes, sandbox: Sandbox, of: str) -> str:
    """As `unseen`, for the files that a program says it misses, in its last lines. It may say what it likes: nobody
    is told to show a home, or a folder of keys; and the answer is for a person alone."""
    lines = output.decode("utf-8", "replace").splitlines()[-_LINES_MAX:]
    named = (word for line in reversed(lines) if _MISSES.search(line) for word in _ABSOLUTE.findall(line[:_LINE_MAX]))
    words = [word for word in islice(dict.fromkeys(named), _NAMED_MAX) if not _is_private(Path(os.path.normpath(word)))]
    return next(filter(None, (unseen((word,), sandbox, of) for word in words)), "")


def unseen(command: Iterable[str], sandbox: Sandbox, of: str) -> str:
    """What to do if words of the pipeline name a path that is on the machine, but not in the sandbox; empty if none
    does."""
    if sandbox.level == "none":
        return ""
    named = [Path(os.path.expanduser(path)) for path in sandbox.read]  # noqa: PTH111 - does not raise
    for word in _ABSOLUTE.findall(" ".join(command)):
        path = Path(os.path.normpath(word))
        if not _within(path, (*_OWN, *named)) and not is_shown(path, of) and os.path.exists(path):  # noqa: PTH110 - does not raise
            return f"{path} is not in the sandbox: add it to `read` under `sandbox` in the pipeline"
    return ""


def alone(command: Iterable[str], sandbox: Sandbox, of: str) -> str:
    """As `unseen`, for a program that a link on the PATH leads to, without what lies beside it: it may need that, or
    fail of something else."""
    if sandbox.level == "none":
        return ""
    seen = (*_OWN, *(Path(os.path.expanduser(path)) for path in sandbox.read))  # noqa: PTH111 - does not raise
    for word in dict.fromkeys(_WORD.findall(" ".join(command))):
        path = Path(os.path.realpath(shutil.which(word, path=of) or "/"))
        if is_shown(path, of) and not _within(path, seen) and not is_shown(path.parent, of):
            return (
                f"{path} is in the sandbox without the files beside it: if it needs them, add {path.parent} to `read` "
                "under `sandbox` in the pipeline"
            )
    return ""


@cache
def _programs_of(entries: tuple[str, ...]) -> Reads:
    found = _Found()
    for folder in _own():
        found.add(folder)
    for entry in entries:
        found.follow(Path(entry))
        for path in _installation(Path(os.path.realpath(entry))):
            found.add(path)
        for link in _links_in(Path(entry)):
            found.follow(link)
    return Reads(tuple(sorted(found.paths)), tuple(sorted(found.links.items())))


@dataclass(slots=True)
class _Found:
    paths: set[Path] = field(default_factory=set)
    links: dict[Path, str] = field(default_factory=dict)

    def add(self, path: Path) -> None:
        """Bind `path`, unless something above it is bound or it would show too much."""
        if not _there(path) or self._has(path) or _shows_too_much(path):
            return
        self.paths = {one for one in self.paths if not one.is_relative_to(path)} | {path}

    def follow(self, path: Path) -> None:
        """Make each link on the way from `path`, and bind what is at its end."""
        for _ in range(_HOPS_MAX):
            above = next((one for one in (*reversed(path.parents), path) if one.is_symlink()), None)
            if above is None:
                break
            target = str(above.readlink())
            if not self._has(above):
                self.links[above] = target
            path = Path(os.path.normpath(above.parent / target)) / path.relative_to(above)
        for package in _package(path):
            self.add(package)

    def _has(self, path: Path) -> bool:
        return _is_system(str(path)) or _within(path, self.paths)


def _own() -> Iterator[Path]:
    """What our own programs need, those that ask a model and the server for checks."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(interlock.__file__).parent)
    yield Path(os.path.realpath(sys.executable)).parent.parent


def _links_in(entry: Path) -> Iterator[Path]:
    try:
        with os.scandir(entry) as found:
            for number, one in enumerate(found):
                if number >= _LINKS_MAX:
                    return
                if one.is_symlink() and not _stays_in_system(one.path):
                    yield Path(one.path)
    except OSError:
        return


def _stays_in_system(link: str) -> bool:
    """Looked at as text alone: the system has thousands of links."""
    return _is_system(link) and _is_system(os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link))))  # noqa: PTH115, PTH118, PTH120


def _is_system(path: str) -> bool:
    return path.startswith(_SYSTEM) or path in SYSTEM


def _installation(entry: Path) -> Iterator[Path]:
    """What a folder of PATH needs: itself, or all of the installation that it belongs to."""
    prefix = entry.parent
    for name in _ALSO.get("/".join(entry.parts[-2:]), ()):
        yield prefix.parent / name
    if _is_installation(prefix) and not _is_shared(prefix):
        yield from _parts(prefix)
    elif _holds_work(entry):
        yield from _programs_in(entry)
    else:
        yield entry


def _is_installation(prefix: Path) -> bool:
    return (
        any(_there(prefix / mark) for mark in _MARKS)
        or any(all(_there(prefix / mark) for mark in marks) for marks in _TOGETHER)
        or any(prefix.glob("lib/python3.*/os.py"))
    )


def _parts(prefix: Path) -> Iterator[Path]:
    """An installation; where somebody works in the same folder, only what installations have in it."""
    if _holds_work(prefix):
        yield from (prefix / name for name in _PARTS)
    else:
        yield prefix


def _programs_in(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as found:
        for one in islice(found, _LINKS_MAX):
            if one.is_file(follow_symlinks=False) and os.access(one.path, os.X_OK):
                yield Path(one.path)


def _package(path: Path) -> Iterator[Path]:
    """What the program `path` needs of the place where it lies: nothing but itself, unless that is known to be an
    installation."""
    parts = path.parts
    if "node_modules" in parts:
        yield Path(*parts[: parts.index("node_modules") + 1])
    elif not path.is_dir():
        prefix = path.parent.parent
        if path.parent.name in ("bin", "sbin", "libexec") and _is_installation(prefix) and not _is_shared(prefix):
            yield from _parts(prefix)
        elif _is_kept_for_programs(path.parent) and not _holds_work(path.parent):
            yield path.parent
        else:
            yield path


def _shows_too_much(path: Path) -> bool:
    return _is_shared(path) or _holds_work(path)


def _is_shared(path: Path) -> bool:
    """Whether it is a home, a folder above one, or one of those in a home that hold what is of many programs."""
    if path.parent in (Path("/"), Path("/home"), path):
        return True
    return any(home.is_relative_to(path) or path in [home / name for name in _KEPT] for home in _homes())


def _holds_work(path: Path) -> bool:
    """Whether somebody works there: it is a repository, or has the variables of a project, often with keys."""
    return any(_there(path / name) for name in _WORK)


def _is_kept_for_programs(folder: Path) -> bool:
    """Whether it is below ~/.local/share/NAME or similar, as installers make it, or has the programs of cargo."""
    return str(folder).endswith("/.cargo/bin") or any(f"/{one}/" in f"{folder}" for one in _OF_PROGRAMS)


def _there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - does not raise where the user may not look


def _is_private(path: Path) -> bool:
    return _shows_too_much(path) or path.is_relative_to("/sys") or any(part in _KEYS for part in path.parts)


def _homes() -> Iterator[Path]:
    yield Path(os.path.expanduser("~"))  # noqa: PTH111 - does not raise without a home
    with suppress(KeyError):  # no such user in this container
        yield Path(pwd.getpwuid(os.getuid()).pw_dir)


def _within(path: PurePath, folders: Iterable[PurePath]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
