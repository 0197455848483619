"""Every call of the git program, in one place.

Rule: nothing of the environment or of any configuration reaches git, but where `Trust.USER` says that the
call is the user's own (looking at the base, signing, pushing). Such a call sees the configuration that GIT_CONFIG_*
names. All other inherited GIT_* variables are dropped: set by a hook, they would send our writes into the user's
repository. A call talks to no other repository, not to fetch what a partial clone lacks, but where `transport` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError, names_trouble
from interlock.process import Captured, capture

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
    """Whose configuration a call runs under."""

    NONE = "none"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Git:
    """How to call git on one repository. `git_dir` None: the repository around `cwd`."""

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
        """Run `git args`. Raises InfrastructureError for an exit code that is not in `codes`, and for any other than 0
        where git complains of the machine."""
        done = capture(self.argv(*args), cwd=self.cwd, env=self.env(extra), stdin=stdin, timeout_s=TIMEOUT_S)
        if done.code not in codes or (done.code and names_trouble(done.err.decode(errors="replace"))):
            verb = next((word for word in args if word != "-c" and "=" not in word), "")
            raise InfrastructureError(f"git {verb}: exit code {done.code} in {self._where()}: {complaint(done)}")
        return done

    def _where(self) -> str:
        return str(self.git_dir or self.cwd)


def complaint(done: Captured) -> str:
    """What git said of its failure, in one line."""
    lines = done.err.decode(errors="replace").strip().splitlines()
    first = [line for line in lines[:-3] if line.startswith("fatal:")][-1:]  # the rest can be advice
    return "; ".join([*first, *lines[-3:]]) or "it said nothing"


def check_version(environ: Mapping[str, str]) -> None:
    """Raises UsageError where git is missing or older than 2.38."""
    wanted = ".".join(str(part) for part in VERSION_MIN)
    try:
        said = capture(["git", "version"], env=Git(environ).env()).out.decode(errors="replace").strip()
    except InfrastructureError as error:
        if not error.permanent:
            raise
        raise UsageError(f"git is not to be found on the PATH: install git {wanted} or newer") from error
    match = re.search(r"(\d+)\.(\d+)", said)
    if match is None or (int(match[1]), int(match[2])) < VERSION_MIN:
        raise UsageError(f"git {wanted} or newer is needed, and `git version` says {said!r}: install a newer git")
