"""Our own short calls of trusted programs (git and the like): run to the end, all output in memory.

A program on the user's own terminal, such as a shell. It is the user's, so nothing bounds or ends it.

Programs that outlive us: `run --detach` starts its owner this way.

A long-lived trusted program that is asked on its stdin and answers on its stdout.

For `git cat-file --batch-command`: one process in place of one for each object. It ends when its stdin
closes, so it cannot outlive us.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from interlock.ports import InfrastructureError


@dataclass(frozen=True, slots=True)
class Captured:
    """What a short trusted call printed. `code` is -N where signal N ended it."""

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
    """Run `argv` with exactly `env` and return its exit code and output.

    Raises InfrastructureError: permanent where the program or `cwd` is missing, passing where it takes
    longer than `timeout_s` seconds. A code other than 0 is for the caller to judge.
    """
    try:
        program = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that it ends with its children, and cannot ask on the terminal
        )
    except OSError as error:
        raise cannot_start(argv, cwd, error) from error
    with program:
        try:
            out, err = program.communicate(stdin, timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill(program)
            raise InfrastructureError(
                f"{argv[0]}: no end after {timeout_s:g} s ({' '.join(argv)}): is the machine or the disk overloaded?"
            ) from error
        except BaseException:
            _kill(program)
            raise
    return Captured(program.returncode, out, err)


def _kill(program: subprocess.Popen[bytes]) -> None:
    """With all of its session's first group; it is not waited for yet, so the number is still its own."""
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)


def cannot_start(argv: Sequence[str], cwd: Path | None, error: OSError) -> InfrastructureError:
    if cwd is not None and not cwd.is_dir():
        return InfrastructureError(f"{argv[0]}: cannot run in {cwd}: there is no such folder", permanent=True)
    if isinstance(error, FileNotFoundError):
        return InfrastructureError(f"{argv[0]}: not found: install it, or put it on the PATH", permanent=True)
    permanent = isinstance(error, PermissionError)
    return InfrastructureError(f"{argv[0]}: cannot be started: {error.strerror}", permanent=permanent)


# --- on the user's terminal ------------------------------------------------------------------


def run_in_terminal(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run `argv` with our standard streams and wait for its end. Returns its exit code, 128 and the number of
    the signal that ended it. An interrupt from the terminal is for the program alone.

    Raises InfrastructureError (permanent) where the program or `cwd` is missing. Call it on the main thread.
    """
    try:
        program = subprocess.Popen(argv, cwd=cwd, env=env)
    except OSError as error:
        raise cannot_start(argv, cwd, error) from error
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = program.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        if program.poll() is None:  # we were told to end: so is it
            program.terminate()
            program.wait()
    return code if code >= 0 else 128 - code


# --- detached --------------------------------------------------------------------------------


def detach(argv: Sequence[str], env: Mapping[str, str], log: Path, *, cwd: Path | None = None) -> int:
    """Start `argv` in a session of its own, its output appended to `log`. Returns its pid.

    Raises InfrastructureError (permanent) where the program or `cwd` is missing.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            raise cannot_start(argv, cwd, error) from error
    process.returncode = 0  # not ours to wait for: without this Python would warn that it still runs
    return process.pid


# --- long-lived ------------------------------------------------------------------------------


class Dialogue:
    """Owns the program; `close` ends it. In a process group of its own, so that Ctrl-C is not for it."""

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
        self._asks = cast(IO[bytes], self._program.stdin)
        self._answers = cast(IO[bytes], self._program.stdout)

    def ask(self, question: bytes) -> None:
        """Send `question`, at most about 60 kB while its answers are not read. Raises InfrastructureError."""
        try:
            self._asks.write(question)
            self._asks.flush()
        except OSError as error:
            raise self._gone() from error

    def line(self) -> bytes:
        """The next line of the answer, without its end. Raises InfrastructureError where the program ended."""
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise self._gone()
        return line[:-1]

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes of the answer. Raises InfrastructureError where the program ended."""
        content = self._answers.read(size)
        if len(content) != size:
            raise self._gone()
        return content

    def close(self) -> None:
        """End the program; answers that were not read are lost."""
        with contextlib.suppress(OSError):  # it may be gone already, which is what is asked for
            self._asks.close()
        self._program.kill()
        self._program.wait()
        self._answers.close()

    def _gone(self) -> InfrastructureError:
        return InfrastructureError(f"{self._name}: ended in the middle of an answer")
