"""Trusted programs, in three ways: short calls with all output in memory (`capture`), a detached program that outlives
us (`detach`), and a long-lived program that answers requests (`Dialogue`).

The environment of a program is what it may see of ours, and what it gets of its checkout. Rule: programs are searched
for in absolute folders alone. Any other entry of PATH (`.`, `node_modules/.bin`, an empty one) is a folder of the
checkout, and what is in it belongs to the candidate.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from interlock.ports import Checkout, InfrastructureError


@dataclass(frozen=True, slots=True)
class Captured:
    """The output of a short call. `code` is -N if signal N ended the program."""

    code: int
    out: bytes
    err: bytes


def capture(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout_s: float = 60,
) -> Captured:
    """Run `argv` with exactly `env` and return its exit code and output. The caller checks the exit code.

    Raises InfrastructureError: permanent if the program or `cwd` is missing, temporary if the program takes longer than
    `timeout_s` seconds.
    """
    try:
        program = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that it ends with its children, and cannot prompt in the terminal
        )
    except OSError as error:
        raise cannot_start(argv, cwd, error) from error
    with program:
        try:
            out, err = program.communicate(stdin, timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill(program)
            raise InfrastructureError(
                f"{argv[0]}: not finished after {timeout_s:g} s ({' '.join(argv)}): is the machine or the disk"
                " overloaded?"
            ) from error
        except BaseException:
            _kill(program)
            raise
    return Captured(program.returncode, out, err)


def _kill(program: subprocess.Popen[bytes]) -> None:
    """Kill the program with its process group. Nobody has waited for it yet, so the pid is still its own."""
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)


def cannot_start(argv: Sequence[str], cwd: Path | None, error: OSError) -> InfrastructureError:
    if cwd is not None and not cwd.is_dir():
        return InfrastructureError(f"{argv[0]}: cannot run in {cwd}: there is no such folder", permanent=True)
    if isinstance(error, FileNotFoundError):
        return InfrastructureError(f"{argv[0]}: not found: install it, or put it on the PATH", permanent=True)
    permanent = isinstance(error, PermissionError)
    return InfrastructureError(f"{argv[0]}: cannot be started: {error.strerror}", permanent=permanent)


# --- detached --------------------------------------------------------------------------------


def detach(argv: Sequence[str], env: Mapping[str, str], log: Path, *, cwd: Path | None = None) -> int:
    """Start `argv` in its own session, and append its output to `log`. Returns its pid. `run --detach` uses it.

    Raises InfrastructureError (permanent) if the program or `cwd` is missing.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            raise cannot_start(argv, cwd, error) from error
    process.returncode = 0  # we do not wait for it: without this, Python would warn that it still runs
    return process.pid


# --- long-lived ------------------------------------------------------------------------------


class Dialogue:
    """A program that reads requests on stdin and answers on stdout, such as `git cat-file --batch-command`: one process
    instead of one per object. `close` ends it. It also ends when its stdin closes, so it cannot outlive us. It is in
    its own process group, so that Ctrl-C does not reach it."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str]) -> None:
        self._name = " ".join(argv[:2])
        try:
            self._program = subprocess.Popen(
                argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
            )
        except FileNotFoundError as error:
            raise InfrastructureError(
                f"{argv[0]}: not found: install it, or put it on the PATH", permanent=True
            ) from error
        except OSError as error:
            raise InfrastructureError(f"{argv[0]}: cannot be started: {error.strerror}") from error
        self._requests = cast(IO[bytes], self._program.stdin)
        self._answers = cast(IO[bytes], self._program.stdout)

    def ask(self, request: bytes) -> None:
        """Send a request. At most about 60 kB of requests may be unanswered. Raises InfrastructureError."""
        try:
            self._requests.write(request)
            self._requests.flush()
        except OSError as error:
            raise self._gone() from error

    def line(self) -> bytes:
        """The next line of the answer, without its line end. Raises InfrastructureError if the program has ended."""
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise self._gone()
        return line[:-1]

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes of the answer. Raises InfrastructureError if the program has ended."""
        content = self._answers.read(size)
        if len(content) != size:
            raise self._gone()
        return content

    def close(self) -> None:
        """End the program. Unread answers are lost."""
        with suppress(OSError):  # the program may have ended already
            self._requests.close()
        self._program.kill()
        self._program.wait()
        self._answers.close()

    def _gone(self) -> InfrastructureError:
        return InfrastructureError(f"{self._name}: ended in the middle of an answer")


# --- environments -------------------------------------------------------------------------------


_BASE = frozenset({"PATH", "LANG", "LANGUAGE", "TZ"})
_NO_SYSTEM_CONFIG = "GIT_CONFIG_NOSYSTEM"  # where the file of the system cannot be read, git does not start without it


def scrubbed(environ: Mapping[str, str], allow: Iterable[str] = ()) -> dict[str, str]:
    """PATH, the locale, the time zone, and the `allow`ed names that are set. Never a GIT_* of ours that names a
    repository or a setting.

    HOME and TMPDIR are not in it: whoever starts a program gives it its own. TERM is not in it either: no supervised
    program has a terminal, and without one programs write no colours and redraws.
    """
    allowed = frozenset(allow)
    seen = {
        name: value
        for name, value in environ.items()
        if name == _NO_SYSTEM_CONFIG
        or ((name in _BASE or name.startswith("LC_") or name in allowed) and not name.startswith("GIT_"))
    }
    if "PATH" in seen:
        folders = [entry for entry in seen["PATH"].split(os.pathsep) if entry.startswith("/")]
        seen["PATH"] = os.pathsep.join(folders) or os.defpath  # an empty one is the current folder
    return seen


def checkout_environment(
    environ: Mapping[str, str], checkout: Checkout, allow: Iterable[str] = (), more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The complete environment of a program in a checkout: the base and the `allow`ed names of `environ`, what setup
    added, `more`, and the checkout's own HOME and TMPDIR. Later parts override earlier ones."""
    own = {"HOME": checkout.seen(checkout.home), "TMPDIR": checkout.seen(checkout.tmp)}
    return {**scrubbed(environ, allow), **dict(checkout.env), **(more or {}), **own}


def own_environment(environ: Mapping[str, str], without: Iterable[str] = ()) -> dict[str, str]:
    """All of the user's environment for a program of their own, but the names in `without` and GIT_*."""
    hidden = frozenset(without)
    return {name: value for name, value in environ.items() if name not in hidden and not name.startswith("GIT_")}


def relative_path_entries(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The entries of PATH in which no program is searched for."""
    entries = environ["PATH"].split(os.pathsep) if "PATH" in environ else []
    return tuple(dict.fromkeys(entry for entry in entries if not entry.startswith("/")))
