"""Setup recipes: each runs once per key in a temporary checkout; its output is copied into each checkout and settled.

Rule: a copy must not refer to the checkout where it was made. That checkout is removed, so a stale path in the output
fails loudly, and `settle` corrects it in each checkout. A failure is remembered for some minutes, so that it happens
once per key and not once per gate.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import Checkout, InfrastructureError, Sandbox, disk
from interlock.ports.disk import disk_error
from interlock.process import Finished, How, Supervised, scrubbed, supervise
from interlock.sandbox import Network, Room, confine, unseen, unseen_in
from interlock.workspaces import layout
from interlock.workspaces.layout import remove
from interlock.workspaces.setup_home import environment_in_room, put_settings
from interlock.workspaces.setup_inputs import (
    folder_digest,
    key_variables,
    setup_credentials,
    setup_environment,
    setup_key,
    withheld_names,
)
from interlock.workspaces.storage import lock_file
from interlock.workspaces.trees import Listing

TAIL_LINES = 30
_BASES_CODE = "\n(setup with a `key` runs with the code of the base; new modules are empty in it)"
REMEMBERED_S = 300.0  # how long a failure is remembered in the same try
_NOT_RUNNABLE = frozenset({126, 127})  # exit codes of a shell


class SetupFailed(InfrastructureError):
    """A command of setup failed, or its output is not what the recipe names. `index` is the recipe's. `repeated`: an
    earlier failure of the same try is reported again. `by_files`: the files alone cause it. `timed_out`: the command
    did not end in time."""

    rule = "setup_failed"

    def __init__(self, what: str, why: str, index: int, output: bytes = b"", *, by_files: bool = False) -> None:
        super().__init__(f"{what}: {why}", permanent=by_files)
        self.what = what
        self.why = why
        self.index = index
        self.output = output
        self.by_files = by_files
        self.repeated = False
        self.timed_out = False

    def as_repeated(self) -> SetupFailed:
        """The same failure, reported again."""
        copy = self.with_note("")
        copy.repeated = True
        return copy

    def with_note(self, note: str) -> SetupFailed:
        """The same failure, with a note at its end."""
        copy = SetupFailed(self.what, f"{self.why}{note}", self.index, self.output, by_files=self.by_files)
        copy.repeated, copy.timed_out = self.repeated, self.timed_out
        return copy


@dataclass(frozen=True, slots=True)
class SetupInput:
    """The input of setup. `tree` is the tree to set up. `trees` gives the trees to run recipes on: the first one that
    works is used. `fresh` makes a checkout of one, without setup. `number` is the number of the try: setup that failed
    in a try is not repeated in it; with 0 it is."""

    tree: str
    listing: Listing
    trees: Callable[[Sequence[Setup]], Sequence[str]]
    fresh: Callable[[str], Checkout]
    wipe: Callable[[Path], None]
    number: int = 0
    sandbox: Sandbox = Sandbox()


@dataclass(frozen=True, slots=True)
class _Failure:
    number: int
    at: float
    error: SetupFailed


class Recipes:
    """The output of setup recipes, by key, below one folder."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = dict(environ)
        self._failed: dict[str, _Failure] = {}
        self._proved_at: dict[str, float] = {}  # when a setup last worked from nothing

    def install(self, setups: Sequence[Setup], source: SetupInput, checkout: Checkout) -> None:
        """Copy the output of the recipes into `checkout`, running those that have none yet, and settle it. Raises
        SetupFailed, or InfrastructureError if the disk fails."""
        self.place(setups, source, checkout.tree)
        self.settle(setups, checkout)

    def place(self, setups: Sequence[Setup], source: SetupInput, tree: Path) -> None:
        """`install` without settling."""
        for index, setup in enumerate(setups):
            made = self._made(setups[: index + 1], source)
            for path in setup.paths:
                with _placing(index):
                    layout.put_path(made, path, tree, scrubbed(self._environ))

    def settle(self, setups: Sequence[Setup], checkout: Checkout) -> None:
        """Settle the output of the recipes, which is in `checkout`. Raises SetupFailed if the files of the checkout do
        not leave it its place."""
        for index, setup in enumerate(setups):
            for path in setup.paths:
                with _placing(index):
                    layout.path_within(checkout.tree, path)
        for index, setup in enumerate(setups):
            if setup.settle is not None:
                self._run(setup, setup.settle, checkout, "settle", index)

    def digest(self, setups: Sequence[Setup], source: SetupInput) -> str:
        """A digest of the recipes' output for these files and of the commands that settle it. Recipes without output
        run first. Raises as `install`."""
        whole = hashlib.sha256()
        for index, setup in enumerate(setups):
            made = self._made(setups[: index + 1], source)
            settle = setup.settle.words if setup.settle else ()
            try:
                parts = [_marker(made).read_text(), setup.paths, settle, key_variables(self._environ, setup)]
            except OSError as error:
                raise disk_error(made, error) from error
            whole.update(json.dumps(parts).encode())
        return whole.hexdigest()

    def key(self, setups: Sequence[Setup], listing: Listing, sandbox: Sandbox) -> str:
        """What was made in a room has the paths of a room in it."""
        key = setup_key(setups, listing, self._environ)
        return key if sandbox.level == "none" else f"{key}-{sandbox.level}"

    def prove(self, setups: Sequence[Setup], source: SetupInput) -> None:
        """Run all recipes again from nothing, without keeping the output, to see whether they work on this machine now.
        A success is remembered for some minutes. Raises SetupFailed."""
        key = self.key(setups, source.listing, source.sandbox)
        with self._alone(key):
            if time.monotonic() - self._proved_at.get(key, -REMEMBERED_S) < REMEMBERED_S:
                return
            self._run_all(setups, source)
            self._proved_at[key] = time.monotonic()

    def variables(self, setups: Sequence[Setup], checkout: Checkout) -> tuple[tuple[str, str], ...]:
        """Variables with which programs in the checkout find the output of setup: PATH, VIRTUAL_ENV, CARGO_HOME."""
        folders, virtual, found = [], "", dict[str, str]()
        for path in (path for setup in setups for path in setup.paths):
            output = checkout.tree / path
            if (output / "pyvenv.cfg").is_file():
                virtual = virtual or checkout.seen(output)
                folders.append(checkout.seen(output / "bin"))
            elif (output / ".bin").is_dir():
                folders.append(checkout.seen(output / ".bin"))
            elif output.name == ".cargo-home" and output.is_dir():
                found |= {"CARGO_HOME": checkout.seen(output), "CARGO_NET_OFFLINE": "true"}
        if folders:
            found["PATH"] = os.pathsep.join([*folders, self._environ.get("PATH", os.defpath)])
        if virtual:
            found["VIRTUAL_ENV"] = virtual
        return tuple(found.items())

    def _made(self, setups: Sequence[Setup], source: SetupInput) -> Path:
        """The folder with the output of the last of `setups`, which runs if there is none."""
        made = self._folder / self.key(setups, source.listing, source.sandbox)
        if not _is_whole(made):
            with self._alone(made.name):
                if not _is_whole(made):
                    remove(made)  # incomplete: from a power loss or an earlier version
                    self._make_once(setups, source, made)
        for used in (made, _marker(made)):  # their last use, for gc
            with suppress(FileNotFoundError):
                os.utime(used)
        return made

    def _make_once(self, setups: Sequence[Setup], source: SetupInput, made: Path) -> None:
        """Run the last of `setups`, unless it failed recently in this try."""
        known = self._failed.get(made.name)
        if known and source.number and source.number <= known.number and time.monotonic() - known.at < REMEMBERED_S:
            raise known.error.as_repeated()
        try:
            self._make(setups, source, made)
        except SetupFailed as error:
            if error.index == len(setups) - 1:  # else the key of the earlier recipe remembers it
                number = max(source.number, known.number if known else 0)
                now = time.monotonic()
                self._failed = {key: one for key, one in self._failed.items() if now - one.at < REMEMBERED_S}
                self._failed[made.name] = _Failure(number, now, error)
            raise

    def _make(self, setups: Sequence[Setup], source: SetupInput, made: Path) -> None:
        index, setup = len(setups) - 1, setups[-1]

        def make(checkout: Checkout) -> None:
            self.install(setups[:-1], source, checkout)
            _clear_paths(checkout, [setup], index)
            self._run(setup, setup.command, checkout, "setup", index)
            aside = Path(tempfile.mkdtemp(prefix="making-", dir=self._folder))
            for path in setup.paths:
                with _placing(index):
                    layout.take_path(checkout.tree, path, aside)
            disk.sync_tree(aside)
            digest = folder_digest(aside)
            disk.rename(aside, made)
            disk.put_file(_marker(made), [digest.encode()], mode=0o644)

        try:
            _in_first_working(source, setups, make)
        except OSError as error:
            raise disk_error(made, error) from error

    def _run_all(self, setups: Sequence[Setup], source: SetupInput) -> None:
        def run_all(checkout: Checkout) -> None:
            for index, setup in enumerate(setups):
                _clear_paths(checkout, [setup], index)
                self._run(setup, setup.command, checkout, "setup", index)

        _in_first_working(source, setups, run_all)

    def _run(self, setup: Setup, command: CommandLine, checkout: Checkout, what: str, index: int) -> None:
        log = checkout.root / "output" / f"{what}.log"
        log.parent.mkdir(exist_ok=True)
        env = setup_environment(self._environ, setup, Path(checkout.seen(checkout.tmp)))
        if checkout.sandbox.level != "none":
            put_settings(env.get("HOME", ""), checkout.home)
            env = environment_in_room(env, checkout)
        secrets = setup_credentials(self._environ, setup)
        work = Supervised(command.words, checkout.tree, env, log, setup.timeout_s, secrets=secrets)
        network = Network.OPEN if setup.hosts is None else Network.NONE
        done = supervise(confine(work, Room(checkout, network, setup.hosts or ())), threading.Event())
        refused = _refused_hosts(log) if setup.hosts is not None else []
        log.unlink(missing_ok=True)
        if done.how is not How.EXITED or done.code != 0:
            missing = done.how is How.NOT_FOUND or done.code in _NOT_RUNNABLE
            path = env.get("PATH", os.defpath)
            hint = unseen(command.words, checkout.sandbox, path) if missing else ""
            hint = hint or unseen_in(done.tail, checkout.sandbox, path)
            first = f"{hint}; " if hint else ""
            why = f"`{_shown(command)}`: {first}{_ending(done)}{_hint(withheld_names(self._environ, setup))}"
            tail = done.tail.decode(errors="replace").strip().splitlines()[-TAIL_LINES:]
            failed = SetupFailed(what, "\n".join([why, *refused, *tail]).rstrip(), index, done.tail)
            failed.timed_out = done.how is How.TIMED_OUT
            raise failed

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Hold the lock of a key, among all processes."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._folder / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise disk_error(self._folder, error) from error
        try:
            lock_file(fd, self._folder / f"{key}.lock")
            yield
        finally:
            os.close(fd)


def _refused_hosts(log: Path) -> list[str]:
    """What the network of its sandbox refused, which stands behind its output."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:] if log.is_file() else []
    return [line for line in lines if line.startswith("sandbox: ")]


def _marker(made: Path) -> Path:
    """The file that is written last, when all output is on the disk. It holds the digest of the output."""
    return made.with_name(f"{made.name}.whole")


def _is_whole(made: Path) -> bool:
    return made.is_dir() and _marker(made).is_file()


def _in_first_working(source: SetupInput, setups: Sequence[Setup], act: Callable[[Checkout], None]) -> None:
    """`act` in a checkout of the first tree in which the last of `setups` works. Raises the failure of the first."""
    first: SetupFailed | None = None
    among = source.trees(setups)
    for tree in among:
        checkout = source.fresh(tree)
        try:
            return act(checkout)
        except SetupFailed as error:
            first = first or error
            if error.timed_out or error.repeated:
                break
        finally:
            source.wipe(checkout.root)
    assert first is not None  # there is at least one tree
    raise first if source.tree in among else first.with_note(_BASES_CODE)


def _clear_paths(checkout: Checkout, setups: Sequence[Setup], index: int) -> None:
    """Remove what the tree has at the paths of setup, so that nothing of it is in the output."""
    for path in (path for setup in setups for path in setup.paths):
        with _placing(index):
            layout.clear_path(checkout.tree, path)


@contextmanager
def _placing(index: int) -> Iterator[None]:
    try:
        yield
    except layout.MisplacedPath as error:
        raise SetupFailed("setup", str(error), index, by_files=True) from error


def _shown(command: CommandLine) -> str:
    """The command, on one line."""
    first, *others = (shlex.join(command.argv) or command.shell).strip().splitlines()
    return f"{first} …" if others else first


def _ending(done: Finished) -> str:
    how = f"exit code {done.code}" if done.how is How.EXITED else done.over or done.how.value.replace("_", " ")
    line = error_line(done.tail.decode(errors="replace"))
    return f"{how}: {line}" if line else how


def _hint(names: Sequence[str]) -> str:
    """Why a package index may have refused access."""
    if not names:
        return ""
    return f"\n(not passed on, since they look like credentials: {', '.join(names)}; a setup's `env` can name them)"


# --- output ----------------------------------------------------------------------------------


LINE_MAX = 300
_ERROR = re.compile(
    r"^\W*(?:npm )?(?:err(?:or)?|fatal|panic|exception)\b\W*(?P<said>.*)|^[\w.]*(?:Error|Exception)\b.*", re.I
)
_EMPTY = re.compile(r"^(?:subprocess-exited-with-error|code \S+|errno \S+|)$", re.I)


def error_line(output: str) -> str:
    """The first line that reports an error with a reason, else the last line. Empty if there is no output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        found = _ERROR.match(line)
        if found and not _EMPTY.match((found["said"] or line if found["said"] is not None else line).strip()):
            return line[:LINE_MAX]
    return lines[-1][:LINE_MAX] if lines else ""
