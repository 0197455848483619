"""Run untrusted programs under a supervisor, with limits on time and output, and end their whole process tree.

Rule: the supervisor ends the tree; the controller only says when, and returns after it reported that all are dead.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO

from interlock.ports import Cancel, InfrastructureError
from interlock.process import mounts
from interlock.process.identity import note_supervisor
from interlock.process.listening import Listening
from interlock.process.masking import Mask
from interlock.process.monitor import BoundedLog, Pulse
from interlock.process.spawner import Finished, How, Spawner, Supervised, spawner
from interlock.text.sizes import size_words

_TICK_S = 0.05  # the maximum delay before a cancel is seen
_CHUNK = 1 << 20
_ENDS_MAX_S = 40.0  # for the supervisor's report after it should have ended the program; it needs at most 21
_LISTENERS_MAX = 64
_READS_MAX = 64  # reads of the rest in the pipe; more comes only from a process that we cannot reach

OnOutput = Callable[[bytes], None]


def supervise(
    work: Supervised, cancel: Cancel, on_output: OnOutput | None = None, by: Spawner | None = None
) -> Finished:
    """Run `work` until it ends or must end. When this returns, every process that it started is dead.

    `on_output` gets the output in chunks as it arrives; an exception of it ends the program and is raised. `by`
    defaults to the spawner of this process, and for work in no room to `mounts.outside`. Raises InfrastructureError if
    the machine cannot start the program, the log cannot be written, or some processes cannot be ended.
    """
    _check(work)
    work = _with_gateway(work)
    patient = work.limits is not None
    with (
        BoundedLog(work.log, work.log_bytes_max, patient=patient) as log,
        _stdin(work) as stdin,
        _pipe() as (reads, writes),
    ):
        try:
            control = (by or _spawner_for(work)).spawn(work, stdin, writes)
        except BaseException:
            if work.gateway:
                work.gateway.listening.end()
            raise
        finally:
            os.close(writes)
        with control:
            program = _Program(work, control, reads, log, on_output)
            try:
                finished = program.run(cancel)
                log.excused = finished.how is How.OVER_LIMIT
                return finished
            finally:
                program.end()


def prepare() -> None:
    """Start the fork server early, so that the first `supervise` does not wait for it."""
    spawner().prepare()


def _spawner_for(work: Supervised) -> Spawner:
    """What is in no room finds the machine as it is, outside of the namespace of this process."""
    return (None if work.confined else mounts.outside(work.cwd)) or spawner()


def _check(work: Supervised) -> None:
    words = [*work.argv, *work.env.keys(), *work.env.values()]
    if any("\0" in word for word in words):
        raise InfrastructureError(f"{work.name}: an argument or variable holds a NUL character", permanent=True)


def _with_gateway(work: Supervised) -> Supervised:
    """Its gateway is open, and known to it."""
    if work.gateway is None or work.fence is None or work.fence.ports is None:
        return work
    port, variables = work.gateway.open()
    return replace(work, env={**work.env, **variables}, fence=replace(work.fence, ports=(*work.fence.ports, port)))


@contextmanager
def _stdin(work: Supervised) -> Iterator[int]:
    """The input in a file, not a pipe: it can neither fill up nor break. Behind a fence the file has no path, so that
    the program may open it again (/dev/stdin)."""
    if not work.stdin:
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            yield nothing.fileno()
        return
    with _file_without_path() if work.fence is not None else tempfile.TemporaryFile(buffering=0) as file:
        file.write(work.stdin)
        file.seek(0)
        yield file.fileno()


def _file_without_path() -> IO[bytes]:
    if sys.platform != "linux":
        raise InfrastructureError("a fence is made by Linux alone", permanent=True)
    return os.fdopen(os.memfd_create("stdin"), "w+b", buffering=0)


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """The two ends of the output pipe. The block closes the writing end."""
    reads, writes = os.pipe()
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # beyond the user's share of pipe memory
            fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, _CHUNK)
    os.set_blocking(reads, False)
    try:
        yield reads, writes
    finally:
        os.close(reads)


class _Program:
    """A program under its supervisor: a control socket and a pipe."""

    def __init__(
        self, work: Supervised, control: socket.socket, output: int, log: BoundedLog, on_output: OnOutput | None
    ) -> None:
        self._work = work
        self._control = control
        self._output = output
        self._log = log
        self._on_output = on_output
        self._mask = Mask(work.secrets)
        self._pulse: Pulse | None = None  # since the program started
        self._supervisor: int | None = None  # 0 after we killed it
        self._end_reason: How | None = None
        self._late_at = time.monotonic() + work.timeout_s + _ENDS_MAX_S
        self._received = b""
        self._is_over = False
        confined = work.confined
        room = Listening([serve for _, serve in confined.listeners] if confined else ())
        self._listening = work.gateway.listening if work.gateway else room

    def run(self, cancel: Cancel) -> Finished:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._output, select.POLLIN)
        while not self._is_over:
            ready = {file for file, _ in poll.poll(_TICK_S * 1000)}
            if self._output in ready and not self._read_output():
                poll.unregister(self._output)
            if self._control.fileno() in ready:
                self._read_control()
            self._ask_to_end(cancel)
            self._kill_if_late()
            self._log.check()
        for _ in range(_READS_MAX):
            if not self._read_output():
                break
        self._emit(self._mask.rest())
        for note in self._listening.notes():  # what the network of its room refused
            self._log.note(note)
        return self._finished()

    def end(self) -> None:
        """End the tree at once and wait until it has ended, also after an exception."""
        self._listening.end()
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        self._late_at = min(self._late_at, time.monotonic() + _ENDS_MAX_S)
        while not self._is_over:
            if select.select([self._control], [], [], _TICK_S)[0]:
                self._read_control()
            self._kill_if_late()

    def _read_output(self) -> bool:
        """Read a chunk of output. Whether there may be more."""
        try:
            chunk = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        if chunk:
            if self._pulse:
                self._pulse.beat()
            self._emit(self._mask.feed(chunk))
        return bool(chunk)

    def _emit(self, output: bytes) -> None:
        self._log.add(output)
        if self._on_output and output:
            self._on_output(output)

    def _read_control(self) -> None:
        try:
            part, files, _, _ = socket.recv_fds(self._control, 4096, _LISTENERS_MAX)
        except OSError:
            part, files = b"", []
        if files:
            self._listening.begin(files)
        self._received += part
        words = self._received.split()
        if self._supervisor is None and words[:1] == [b"at"] and b"\n" in self._received:
            self._supervisor = int(words[1])
            note_supervisor(self._work.log.parent, self._supervisor)
        if self._pulse is None and self._supervisor and b"started" in words:
            self._pulse = Pulse(self._supervisor, self._work.idle_timeout_s, self._work.watch)
        self._is_over = not part or (b"ended" in words and self._received.endswith(b"\n"))

    def _ask_to_end(self, cancel: Cancel) -> None:
        if self._end_reason or self._is_over:
            return
        if cancel.is_set():
            self._end_reason = How.CANCELLED
        elif self._pulse and self._pulse.has_stopped():
            self._end_reason = How.IDLE
        if self._end_reason:
            self._late_at = time.monotonic() + _ENDS_MAX_S
            with suppress(OSError):  # the program has just ended by itself
                self._control.send(b"e")

    def _kill_if_late(self) -> None:
        """Kill a supervisor that somebody stopped. The fork server then ends the processes that it left."""
        if time.monotonic() < self._late_at or self._is_over:
            return
        if not self._supervisor:
            self._is_over = True
            return
        with suppress(ProcessLookupError):
            os.kill(self._supervisor, signal.SIGKILL)
        self._late_at += _ENDS_MAX_S
        self._supervisor = 0

    def _finished(self) -> Finished:
        name = self._work.name
        for line in self._received.decode().splitlines():
            match line.split():
                case ["failed", what, number]:
                    return self._not_started(what, int(number))
                case ["ended", "unroomed", _, took_s, "0"]:
                    return self._unroomed(float(took_s))
                case ["ended", how, code, took_s, "0"]:
                    return self._ended(how, int(code), float(took_s))
                case ["ended", _, _, _, alive]:
                    raise InfrastructureError(f"{name}: {alive} of its processes cannot be killed; `ps` shows them")
                case _:
                    continue  # at, listening, started, bounded, over
        raise InfrastructureError(f"{name}: its supervisor was killed, and the program with it")

    def _not_started(self, what: str, number: int) -> Finished:
        name, why = self._work.name, os.strerror(number)
        if what == "folder":
            raise InfrastructureError(f"{name}: cannot work in {self._work.cwd}: {why}", permanent=True)
        if what == "network":
            raise InfrastructureError(f"{name}: nothing can listen in its sandbox's network: {why}", permanent=True)
        if what in ("fence", "owner"):
            raise InfrastructureError(f"{name}: no sandbox could be made for it: {why}", permanent=True)
        if what != "program":
            raise InfrastructureError(f"{name}: cannot be started: {why}; is there room for more processes?")
        self._log.add(os.fsencode(_refusal(self._work, number)))
        return Finished(How.NOT_FOUND, None, 0.0, False, self._log.tail)

    def _unroomed(self, took_s: float) -> Finished:
        """The program in the room did not start; the output says why."""
        said = self._log.tail.decode("utf-8", "replace").strip()
        if "execvp" in said:
            number = errno.EACCES if said.endswith(os.strerror(errno.EACCES)) else errno.ENOENT
            self._log.add(os.fsencode(_refusal(self._work, number)))
            return Finished(How.NOT_FOUND, None, took_s, False, self._log.tail)
        why = said.splitlines()[-1] if said else "it did not say why"
        raise InfrastructureError(f"{self._work.name}: no sandbox could be made for it: {why}", permanent=True)

    def _ended(self, how: str, code: int, took_s: float) -> Finished:
        lines = [line.split() for line in self._received.decode().splitlines()]
        bounded = tuple((words[1], words[2].replace("-", " ")) for words in lines if words[0] == "bounded")
        common = Finished(How.TIMED_OUT, None, took_s, self._log.left_out > 0, self._log.tail, bounded=bounded)
        if how == "exited":
            return replace(common, how=How.EXITED, code=code)
        if how == "over":
            over = next(words[1] for words in lines if words[0] == "over")
            return replace(common, how=How.OVER_LIMIT, over=_passed(self._work, over))
        return replace(common, how=self._end_reason if how == "asked" and self._end_reason else How.TIMED_OUT)


def _passed(work: Supervised, name: str) -> str:
    """The limit that was passed, in words."""
    if name == "full" or (name == "disk" and work.limits and work.limits.of_free):
        return "disk: filled the disk"
    most = work.limits._asdict()[name] if work.limits else 0
    match name:
        case "memory":
            what = f"used more than {size_words(most)}"
        case "processes":
            what = f"had more than {most:,} processes and threads at once"
        case "file_size":
            what = f"wrote a file of more than {size_words(most)}"
        case "disk":
            what = f"wrote more than {size_words(most)}"
        case _:
            what = f"made or changed more than {most:,} files"
    return f"{name}: {what}"


def _refusal(work: Supervised, number: int) -> str:
    name = work.name
    if number not in (errno.ENOENT, errno.ENOTDIR):
        return f"{name}: cannot be executed: {os.strerror(number)}\n"
    if "/" in name and (work.cwd / name).exists():
        return f"{name}: cannot be executed: the interpreter in its first line does not exist\n"
    where = "there is no such file" if "/" in name else f"not on the PATH ({work.env.get('PATH', 'unset')})"
    return f"{name}: not found: {where}\n"
