"""All calls of the git program, the user's identity, and filters and hooks, which never run.

Rule: git sees neither the environment nor any configuration, except in calls with `Trust.USER`, which act for the user
(inspecting the base, signing, pushing). Such a call sees the configuration that GIT_CONFIG_* names. All other inherited
GIT_* variables are dropped: a hook may have set them, and our writes would go into the user's repository. A call
contacts no other repository, not even for objects that a partial clone lacks, unless `transport` is set.

Rule: filter programs (`filter.NAME.clean`, `smudge`, `process`) and configured hooks (`hook.NAME.command`, since git
2.54; `core.hooksPath` does not turn them off) never run. Only the filter itself knows its output, so changed files with
a filter are rejected; Git LFS is the exception, since we can write its pointers. We never start git in a submodule,
which may have other filters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError, reports_machine_error
from interlock.process import Captured, capture, capture_outside

VERSION_MIN = (2, 38)
TIMEOUT_S = 600.0

_OWN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
_ALWAYS = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",  # not known to all versions
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_QUIET = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "core.fsync=all"),
)
_STRICT = (*("-c", "transfer.fsckObjects=true"), *("-c", "core.attributesFile=/dev/null"))


class Trust(Enum):
    """Whose configuration a call uses."""

    NONE = "none"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Git:
    """How to call git on one repository. If `git_dir` is None: on the repository that contains `cwd`."""

    environ: Mapping[str, str]
    git_dir: Path | None = None
    cwd: Path | None = None
    trust: Trust = Trust.NONE
    transport: bool = False

    def argv(self, *args: str) -> list[str]:
        """The full command line of `git args`."""
        where = [f"--git-dir={self.git_dir}"] if self.git_dir else []
        strict = _STRICT if self.trust is Trust.NONE else ()
        return ["git", *where, *_QUIET, *strict, *args]

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The complete environment of a call."""
        kept = ("GIT_CONFIG_",) if self.trust is Trust.USER else ()
        env = {
            name: value for name, value in self.environ.items() if not name.startswith("GIT_") or name.startswith(kept)
        }
        own = _OWN if self.trust is Trust.NONE else {}
        alone = {} if self.transport else {"GIT_ALLOW_PROTOCOL": "none"}
        return {**env, **_ALWAYS, **own, **alone, **(extra or {})}

    def call(
        self, *args: str, stdin: bytes = b"", codes: Sequence[int] = (0,), extra: Mapping[str, str] | None = None
    ) -> Captured:
        """Run `git args`. Raises InfrastructureError if the exit code is not in `codes`, or if it is not 0 and git
        reports a shortage of the machine."""
        run = capture if self.trust is Trust.NONE else capture_outside
        done = run(self.argv(*args), cwd=self.cwd, env=self.env(extra), stdin=stdin, timeout_s=TIMEOUT_S)
        if done.code not in codes or (done.code and reports_machine_error(done.err.decode(errors="replace"))):
            verb = next((word for word in args if word != "-c" and "=" not in word), "")
            raise InfrastructureError(f"git {verb}: exit code {done.code} in {self._where()}: {complaint(done)}")
        return done

    def _where(self) -> str:
        return str(self.git_dir or self.cwd)


def complaint(done: Captured) -> str:
    """The error message of git, in one line."""
    lines = done.err.decode(errors="replace").strip().splitlines()
    first = [line for line in lines[:-3] if line.startswith("fatal:")][-1:]  # the last lines can be advice
    return "; ".join([*first, *lines[-3:]]) or "no error message"


def check_version(environ: Mapping[str, str]) -> None:
    """Raises UsageError if git is missing or older than 2.38."""
    wanted = ".".join(str(part) for part in VERSION_MIN)
    try:
        output = capture(["git", "version"], env=Git(environ).env()).out.decode(errors="replace").strip()
    except InfrastructureError as error:
        if not error.permanent:
            raise
        raise UsageError(f"git is not on the PATH: install git {wanted} or newer") from error
    match = re.search(r"(\d+)\.(\d+)", output)
    if match is None or (int(match[1]), int(match[2])) < VERSION_MIN:
        raise UsageError(f"git {wanted} or newer is needed, and `git version` says {output!r}: install a newer git")


# --- identity --------------------------------------------------------------------------------


_ROLES = ("AUTHOR", "COMMITTER")
_NAMES = tuple(f"GIT_{role}_{part}" for role in _ROLES for part in ("NAME", "EMAIL"))


def identities_in(git_dir: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """The user's author and committer identity in a repository, as `Name <mail>`; empty if git knows none.

    Both follow git's configuration and environment, without the dates: the date of a commit is the run's.
    """
    git = Git(environ, git_dir, trust=Trust.USER)
    extra = {name: environ[name] for name in _NAMES if name in environ}
    found = (git.call("var", f"GIT_{role}_IDENT", codes=range(256), extra=extra) for role in _ROLES)
    author, committer = (_without_date(done.out) if done.code == 0 else "" for done in found)
    return author, committer


def _without_date(line: bytes) -> str:
    who, mark, _ = line.decode(errors="replace").rpartition("> ")
    return f"{who}>" if mark else ""


# --- filters and hooks -----------------------------------------------------------------------


_PARTS = {
    "filter": (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")),
    "hook": (("enabled", "false"),),
}
PLAIN = ("-c", "core.splitIndex=false", "-c", "core.untrackedCache=false", "-c", "advice.addEmbeddedRepo=false")
_ALL = b":/"
_BUT = b":(exclude,top,literal)"


def filters_off(git: Git) -> dict[str, str]:
    """Variables that turn off each filter and hook in the configuration of `git`."""
    count = int(git.environ.get("GIT_CONFIG_COUNT") or 0) if git.trust is Trust.USER else 0
    found = sorted(_names(git))
    settings = [(f"{kind}.{name}.{part}", value) for kind, name in found for part, value in _PARTS[kind]]
    extra = {"GIT_CONFIG_COUNT": str(count + len(settings))} if settings else {}
    for number, (key, value) in enumerate(settings, count):
        extra |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return extra


def add_all(git: Git, top: Path, extra: Mapping[str, str]) -> Captured:
    """`git add --all` for the working tree `top`, without starting git in submodules: their uncommitted changes are
    not added. `extra` includes the variables of `filters_off`. Returns git's output, whatever its exit code."""
    submodules = _submodules(git, top, extra)
    wanted = b"\0".join([_ALL, *(_BUT + path for path in submodules)])
    words = (*PLAIN, "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul")
    done = git.call(*words, stdin=wanted, extra=extra, codes=range(256))
    if done.code or not submodules:
        return done
    heads = b"".join(path + b"\0" for path in submodules)
    return git.call(*PLAIN, "update-index", "-z", "--stdin", stdin=heads, extra=extra, codes=range(256))


def filtered_paths(git: Git, paths: Iterable[bytes], extra: Mapping[str, str]) -> dict[bytes, str]:
    """Those of `paths` that have a filter, with its name. `extra` includes the variables of `filters_off`."""
    question = b"".join(path + b"\0" for path in paths)
    if not question:
        return {}
    fields = git.call("check-attr", "-z", "--stdin", "filter", stdin=question, extra=extra).out.split(b"\0")
    found = zip(fields[0::3], fields[2::3], strict=False)
    known = {value for name, value in extra.items() if name.startswith("GIT_CONFIG_KEY_")}
    return {path: os.fsdecode(name) for path, name in found if _is_known(os.fsdecode(name), known)}


def _is_known(name: str, keys: set[str]) -> bool:
    """Git LFS counts even if it is not configured: its files are stored as pointers in any case."""
    return name == "lfs" or f"filter.{name}.clean" in keys


def _names(git: Git) -> set[tuple[str, str]]:
    words = ("config", "--includes", "-z", "--name-only", "--get-regexp", r"^(filter|hook)\..*\.")
    keys = [os.fsdecode(key).partition(".") for key in git.call(*words, codes=(0, 1)).out.split(b"\0") if key]
    return {(kind, rest.rpartition(".")[0]) for kind, _, rest in keys}


def _submodules(git: Git, top: Path, extra: Mapping[str, str]) -> list[bytes]:
    """The submodules in the index that are checked out: git would start itself only in these."""
    listed = git.call("ls-files", "--stage", "-z", extra=extra).out.split(b"\0")
    paths = {line.partition(b"\t")[2] for line in listed if line.startswith(b"160000 ")}
    return sorted(path for path in paths if os.path.lexists(top / os.fsdecode(path) / ".git"))
