"""What SQLite and the system say when the journal cannot be used, in words that say what would mend it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import apsw

from interlock.ports import Damaged, InfrastructureError

_NEARLY_FULL_BYTES = 1 << 20


def explain(error: apsw.Error | OSError, path: Path) -> InfrastructureError:
    """The expected error for what went wrong with the journal at `path`."""
    match error:
        case apsw.FullError():
            return _full(path)
        case apsw.BusyError() | apsw.LockedError():
            return InfrastructureError(
                f"the journal {path} is held by another process that does not let go: end or continue that one, then"
                " try again"
            )
        case apsw.CorruptError() | apsw.NotADBError() | apsw.FormatError():
            return damaged(path, str(error))
        case apsw.CantOpenError() if os.access(path, os.R_OK | os.W_OK):  # as without a file descriptor left
            return InfrastructureError(f"the journal {path} could not be opened: {error}")
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError():
            return read_only(path, str(error))
        case apsw.IOError() if _nearly_full(path):
            return _full(path)
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _full(path)
        case OSError():
            return read_only(path, error.strerror or str(error))
        case _:
            return InfrastructureError(f"the journal {path} could not be used: {error}")


def damaged(path: Path, why: str) -> InfrastructureError:
    """The file is there and is no journal, or not whole any more."""
    return Damaged(
        f"the journal {path} is damaged or not a journal ({why}): put a copy back in its place, or move the folder"
        f" {path.parent} away to start with an empty one"
    )


def read_only(path: Path, why: str) -> InfrastructureError:
    """Nothing can be written where the journal lies."""
    return InfrastructureError(
        f"the journal {path} cannot be written ({why}): make {path.parent} writable, or name another place in"
        " INTERLOCK_STATE_HOME",
        permanent=True,
    )


def newer(path: Path, found: int, known: int) -> InfrastructureError:
    """The file belongs to a later version of the program."""
    return InfrastructureError(
        f"the journal {path} was written by a newer Interlock (its schema is {found}, this one knows up to {known}):"
        " upgrade Interlock",
        permanent=True,
    )


def _full(path: Path) -> InfrastructureError:
    return InfrastructureError(f"the disk that holds the journal {path} is full: free some space, then resume the run")


def _nearly_full(path: Path) -> bool:
    place = next((each for each in path.parents if each.is_dir()), Path("/"))
    return shutil.disk_usage(place).free < _NEARLY_FULL_BYTES
