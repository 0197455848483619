"""Opening the journal's file: its settings, and its schema brought up to date.

Migrations are numbered SQL files, forward only. Each is committed together with its number, so that an
interrupted upgrade goes on where it stopped; two processes that open at once take turns.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from interlock.journal import chain, faults
from interlock.ports import InfrastructureError
from interlock.ports.disk import PRIVATE, make_folder, sync_files

APPLICATION_ID = 0x494C434B  # "ILCK", in the header of the file
SQLITE_MIN = (3, 51, 3)  # older ones can lose what a WAL holds while it is reset
BUSY_TIMEOUT_S = 30.0
_BUSY_PAUSE_MAX_S = 0.01
_MIGRATION = re.compile(r"(?P<number>\d{4})-(?P<name>[a-z0-9-]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    path: Path


def migrations() -> tuple[Migration, ...]:
    """All that ship, in order, numbered from 1 without a gap."""
    folder = Path(__file__).with_name("migrations")
    found = [(match, path) for path in folder.iterdir() if (match := _MIGRATION.fullmatch(path.name))]
    made = (Migration(int(match["number"]), match["name"], path) for match, path in found)
    return tuple(sorted(made, key=lambda migration: migration.number))


def open_journal(path: Path) -> apsw.Connection:
    """The connection that writes. Makes the file and its folder, and migrates. Raises InfrastructureError."""
    _require_sound_library()
    try:
        _make(path)
        connection = _connect(path)
        try:
            migrate(connection, path, migrations())
        except BaseException:
            connection.close()
            raise
    except (apsw.Error, OSError) as error:
        raise faults.explain(error, path) from error
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """One more connection to a journal that `open_journal` has opened."""
    try:
        return _connect(path)
    except (apsw.Error, OSError) as error:
        raise faults.explain(error, path) from error


def migrate(connection: apsw.Connection, path: Path, known: tuple[Migration, ...]) -> None:
    """Apply each of `known` that the file does not have. Raises InfrastructureError for a newer or foreign file."""
    newest = known[-1].number
    functions: dict[str, Callable[..., Any]] = {
        "first_link": chain.first,
        "link": lambda *all: chain.link(all[0], all[1:]),
    }
    for name, function in functions.items():
        connection.create_scalar_function(name, function, deterministic=True)
    if _version(connection, path, newest) == newest:
        return
    for migration in known:
        with _exclusively(connection):
            if _version(connection, path, newest) < migration.number:
                connection.execute(migration.path.read_text(encoding="utf-8"))
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {migration.number}")


def _require_sound_library() -> None:
    found = apsw.sqlite_lib_version()
    if tuple(int(part) for part in found.split(".")[:3]) < SQLITE_MIN:
        wanted = ".".join(str(part) for part in SQLITE_MIN)
        raise InfrastructureError(
            f"SQLite {found} can lose what was recorded: {wanted} or newer is needed: install `apsw>={wanted}`",
            permanent=True,
        )


def _make(path: Path) -> None:
    """The folder and the empty file, for the user alone, with the names on disk."""
    make_folder(path.parent, PRIVATE)
    if path.exists():
        return
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    sync_files([path.parent])


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_handler(_patience())
    _into_wal(connection)
    connection.execute("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON")
    return connection


def _patience() -> Callable[[int], bool]:
    """Waits for another process with short pauses, up to a bound in all. SQLite's own go up to 0.1 s each."""
    until = 0.0

    def wait(tries: int) -> bool:
        nonlocal until
        now = time.monotonic()
        if tries == 0:
            until = now + BUSY_TIMEOUT_S
        time.sleep(random.uniform(0, min(_BUSY_PAUSE_MAX_S, 0.0002 * 2 ** min(tries, 10))))
        return now < until

    return wait


def _into_wal(connection: apsw.Connection) -> None:
    """SQLite does not call the busy handler for two that enter this mode at once, so this does."""
    wait = _patience()
    tries = 0
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except apsw.BusyError:
            if not wait(tries):
                raise
            tries += 1


@contextmanager
def _exclusively(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: apsw.Connection, path: Path, newest: int) -> int:
    version, application = (int(connection.pragma(name)) for name in ("user_version", "application_id"))
    if application not in (0, APPLICATION_ID) or (application == 0 and _holds_tables(connection)):
        raise faults.damaged(path, "it is the database of another program")
    if version > newest:
        raise faults.newer(path, version, newest)
    return version


def _holds_tables(connection: apsw.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").get)
