"""Open the journal's file: its settings, its migrations, and messages about errors of SQLite and the disk.

Migrations are numbered SQL files, forward only. Each is committed together with its number, so an interrupted upgrade
continues where it stopped. If two processes open the file at once, one waits for the other.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from interlock.journal import chain
from interlock.ports import Damaged, InfrastructureError
from interlock.ports.disk import PRIVATE, make_folder, sync_files

APPLICATION_ID = 0x494C434B  # "ILCK", in the header of the file
SQLITE_MIN = (3, 51, 3)  # older versions can lose data of a WAL while it is reset
BUSY_TIMEOUT_S = 30.0
_BUSY_PAUSE_MAX_S = 0.01
_MIGRATION = re.compile(r"(?P<number>\d{4})-(?P<name>[a-z0-9-]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    path: Path


def migrations() -> tuple[Migration, ...]:
    """All migrations of this version, in order, numbered from 1 without gaps."""
    folder = Path(__file__).with_name("migrations")
    found = [(match, path) for path in folder.iterdir() if (match := _MIGRATION.fullmatch(path.name))]
    made = (Migration(int(match["number"]), match["name"], path) for match, path in found)
    return tuple(sorted(made, key=lambda migration: migration.number))


def open_journal(path: Path) -> apsw.Connection:
    """The writing connection. Makes the file and its folder, and migrates. Raises InfrastructureError."""
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
        raise explain_error(error, path) from error
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """Another connection to a journal that `open_journal` has opened."""
    try:
        return _connect(path)
    except (apsw.Error, OSError) as error:
        raise explain_error(error, path) from error


def migrate(connection: apsw.Connection, path: Path, known: tuple[Migration, ...]) -> None:
    """Apply each migration that the file does not have. Raises InfrastructureError for a newer or foreign file."""
    newest = known[-1].number
    functions: dict[str, Callable[..., Any]] = {
        "first_link": chain.first_digest,
        "link": lambda *all: chain.next_digest(all[0], all[1:]),
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
            f"SQLite {found} can lose recorded events: {wanted} or newer is needed: install `apsw>={wanted}`",
            permanent=True,
        )


def _make(path: Path) -> None:
    """Make the folder and the empty file, for the user only, and sync their names."""
    make_folder(path.parent, PRIVATE)
    if path.exists():
        return
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    sync_files([path.parent])


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_handler(_busy_handler())
    _into_wal(connection)
    connection.execute("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON")
    return connection


def _busy_handler() -> Callable[[int], bool]:
    """Wait for another process with short pauses, up to a limit. SQLite's own pauses are up to 0.1 s."""
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
    """Enter WAL mode. SQLite does not call the busy handler if two processes do so at once, so we wait here."""
    wait = _busy_handler()
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
        raise damaged_file(path, "it is the database of another program")
    if version > newest:
        raise newer_schema(path, version, newest)
    return version


def _holds_tables(connection: apsw.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").get)


# --- errors ----------------------------------------------------------------------------------


_NEARLY_FULL_BYTES = 1 << 20


def explain_error(error: apsw.Error | OSError, path: Path) -> InfrastructureError:
    """The expected error for an error with the journal at `path`."""
    match error:
        case apsw.FullError():
            return _full(path)
        case apsw.BusyError() | apsw.LockedError():
            return InfrastructureError(
                f"the journal {path} is locked by another process: end or continue that process, then try again"
            )
        case apsw.CorruptError() | apsw.NotADBError() | apsw.FormatError():
            return damaged_file(path, str(error))
        case apsw.CantOpenError() if os.access(path, os.R_OK | os.W_OK):  # such as no free file descriptor
            return InfrastructureError(f"the journal {path} could not be opened: {error}")
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError():
            return read_only_file(path, str(error))
        case apsw.IOError() if _nearly_full(path):
            return _full(path)
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _full(path)
        case OSError():
            return read_only_file(path, error.strerror or str(error))
        case _:
            return InfrastructureError(f"the journal {path} could not be used: {error}")


def damaged_file(path: Path, why: str) -> InfrastructureError:
    """The file exists and is not a journal, or is damaged."""
    return Damaged(
        f"the journal {path} is damaged or not a journal ({why}): restore it from a backup, or move the folder"
        f" {path.parent} away to start with an empty one"
    )


def read_only_file(path: Path, why: str) -> InfrastructureError:
    """The journal is read-only."""
    return InfrastructureError(
        f"the journal {path} cannot be written ({why}): make {path.parent} writable, or name another folder in"
        " INTERLOCK_STATE_HOME",
        permanent=True,
    )


def newer_schema(path: Path, found: int, known: int) -> InfrastructureError:
    """A newer version of Interlock wrote the file."""
    return InfrastructureError(
        f"the journal {path} was written by a newer Interlock (its schema is {found}, this one knows up to {known}):"
        " upgrade Interlock",
        permanent=True,
    )


def _full(path: Path) -> InfrastructureError:
    return InfrastructureError(f"the disk that holds the journal {path} is full: free some space, then resume the run")


def _nearly_full(path: Path) -> bool:
    folder = next((each for each in path.parents if each.is_dir()), Path("/"))
    return shutil.disk_usage(folder).free < _NEARLY_FULL_BYTES
