"""Writing a plan out. Rule: all or nothing as far as what lies there goes: no file is replaced unless forced."""

from __future__ import annotations

from pathlib import Path

from interlock.ports import InfrastructureError, UsageError
from interlock.spec.scaffold.planned import Scaffold


def write(scaffold: Scaffold, root: Path, force: bool) -> tuple[Path, ...]:
    """Write the files below `root` and return the paths that were written; those that are there with the same
    content are left alone. Raises UsageError, and writes nothing, where one would be replaced without `force`,
    or where a folder is none."""
    wanted = [(root / name, content) for name, content in scaffold.files if not _same(root / name, content)]
    there = [path.relative_to(root).as_posix() for path, _ in wanted if path.exists() or path.is_symlink()]
    if there and not force:
        raise UsageError(f"{', '.join(there)} would be replaced: move them away, or run `interlock init --force`")
    _require_folders(root, {path.parent for path, _ in wanted})
    for path, content in wanted:
        _put(path, content)
    return tuple(path for path, _ in wanted)


def _require_folders(root: Path, folders: set[Path]) -> None:
    """A link would lead the files to somebody else's place."""
    for path in sorted({each for folder in folders for each in (folder, *folder.parents) if root in each.parents}):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            what = "is a symlink" if path.is_symlink() else "is no folder"
            raise UsageError(f"{path.relative_to(root)} {what}: files are written there: move it away first")


def _same(path: Path, content: str) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == content.encode()
    except OSError:
        return False


def _put(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()  # what it leads to is not ours
        path.write_bytes(content.encode())
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be written: {error.strerror}", permanent=True) from error
