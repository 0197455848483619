"""A program on the user's terminal: with our standard streams, without limits, and in a room if it is confined."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from interlock.ports import InfrastructureError
from interlock.process import room
from interlock.process.listening import Listening
from interlock.process.programs import cannot_start
from interlock.process.spawner import Confined, Supervised, split_options

Note = Callable[[str], None]


def run_in_terminal(work: Supervised, note: Note) -> int:
    """Run `work` with our standard streams, without its limits, and wait for its end. Returns its exit code, or 128
    plus the number of the signal that ended it. An interrupt from the terminal goes to the program only. `note` gets
    what the network of its room refused.

    Raises InfrastructureError (permanent) if the program or its folder is missing. Call it on the main thread.
    """
    if work.confined is not None:
        return _in_room(work, work.confined, note)
    try:
        program = subprocess.Popen(work.argv, cwd=work.cwd, env=work.env)
    except OSError as error:
        raise cannot_start(work.argv, work.cwd, error) from error
    with _interrupts_ignored():
        try:
            code = program.wait()
        finally:
            if program.poll() is None:  # we must end, so end the program too
                program.terminate()
                program.wait()
    return code if code >= 0 else 128 - code


def _in_room(work: Supervised, confined: Confined, note: Note) -> int:
    """As a supervisor does it, but in this process: a terminal belongs to its session."""
    said, status = os.pipe()
    block, begin = os.pipe()
    mapped = confined.map_of_ids()
    pid = os.fork()
    if pid == 0:
        _become(work, confined, (status, block, mapped))
    os.close(status)
    os.close(block)
    listening = Listening([serve for _, serve in confined.listeners])
    with _interrupts_ignored():
        try:
            _listen(listening, [port for port, _ in confined.listeners], said)
            os.close(begin)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except BaseException:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)  # all in the room ends with it
                os.waitpid(pid, 0)
            raise
        finally:
            listening.end()
            os.close(said)
    for line in listening.notes():
        note(line)
    return code if code >= 0 else 128 - code


def _become(work: Supervised, confined: Confined, files: tuple[int, int, int]) -> None:
    """Turn this process, a new fork, into what makes the room. Does not return."""
    try:
        words, options = split_options([os.fsencode(word) for word in work.argv], os.fsencode(confined.maker))
        wanted = confined.wanted(options)
        status, block, mapped = (room.above(file) if file >= 0 else file for file in files)
        _pass_nothing_on()
        room.pass_on(wanted, status, block)
        room.change_owner(wanted, words, mapped, streams=False)
        if confined.scoped:
            room.scope(words[0])
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
        os.chdir("/")
        os.execve(words[0], words, work.env)
    finally:
        os._exit(127)


def _pass_nothing_on() -> None:
    """Whoever started us may have left files open in us."""
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            os.set_inheritable(int(path.name), int(path.name) <= 2)  # the standard streams


def _listen(listening: Listening, ports: Sequence[int], said: int) -> None:
    if not ports:
        return
    line = b""
    while b"\n" not in line and (part := os.read(said, 4096)):
        line += part
    if not (first := room.first_process(line)):
        return  # no room was made: it has said why
    files, number = room.listeners(first, tuple(ports))
    if number:
        raise InfrastructureError(f"nothing can listen in the sandbox's network: {os.strerror(number)}", permanent=True)
    listening.begin(files)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
