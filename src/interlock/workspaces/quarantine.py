"""New objects of the user's repository: written beside its own, and put in among them once all are there.

Rule: whatever fails leaves nothing. After a kill the folder stays, under a name by which `git gc` removes it. What is
there by name need not be there: a power loss leaves empty files.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from interlock.ports import disk
from interlock.ports.disk import disk_error
from interlock.workspaces.objects import CHUNK

_PREFIX = "tmp_objdir-interlock-"  # as git names its own


@contextlib.contextmanager
def quarantine(objects: Path) -> Iterator[dict[str, str]]:
    """Variables for the git calls that write. These see no other object, so that they write each one. Raises
    InfrastructureError."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=objects))
    except OSError as error:
        raise disk_error(objects, error) from error
    try:
        yield {"GIT_OBJECT_DIRECTORY": str(folder)}
        disk.sync_tree(folder)
        _let_out(folder, objects)
        disk.sync_tree(objects)
    except OSError as error:
        raise disk_error(objects, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alternates(objects: Path) -> dict[str, str]:
    """One more variable, for a git call that reads the repository's objects, too."""
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates_entry(objects)}


def alternates_entry(folder: Path) -> str:
    """A folder as git's list of alternates holds it: quoted, for a colon would end it."""
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'


def _let_out(folder: Path, objects: Path) -> None:
    """Packs before their indexes, so that nothing is seen before it is whole. A folder that is new is taken as git made
    it, with its rights."""
    for path in sorted(folder.iterdir()):
        target = objects / path.name
        with contextlib.suppress(OSError):  # not there yet, or empty
            path.rename(target)
            continue
        for file in sorted(path.iterdir(), key=_is_index):
            if not _is_whole(target / file.name, file):
                file.rename(target / file.name)


def _is_whole(there: Path, fresh: Path) -> bool:
    """Whether what has the name holds the same."""
    with contextlib.suppress(OSError, zlib.error):
        return filecmp.cmp(there, fresh, shallow=False) or _inflated(there) == _inflated(fresh) != ""
    return False


def _inflated(path: Path) -> str:
    """The digest of a loose object's content, however it is compressed; empty where it is none or not whole."""
    reader, digest = zlib.decompressobj(), hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(reader.decompress(chunk))
    return digest.hexdigest() if reader.eof else ""


def _is_index(path: Path) -> bool:
    return path.suffix == ".idx"
