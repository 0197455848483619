"""What a commit of the user's repository holds, read where it lies: nothing is imported, and nothing changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from interlock.workspaces import compare
from interlock.workspaces.base import find
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects


@dataclass(frozen=True, slots=True)
class Committed:
    """As `ports.Workspaces` answers of a commit by its name: this one has none but its own."""

    objects: Objects
    tree: str

    def files(self, globs: Sequence[str]) -> tuple[str, ...]:
        return compare.files(self.objects, self.tree, globs)

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """Raises UsageError above `max_bytes`."""
        return compare.content(self.objects, self.tree, path, max_bytes)


@contextmanager
def committed(repository: Path, environ: Mapping[str, str], ref: str = "HEAD") -> Iterator[Committed]:
    """Raises UsageError where there is no such commit."""
    origin = find(repository, environ, ref)
    with closing(Objects(Git(environ, origin.common_dir), origin.algorithm)) as objects:
        yield Committed(objects, origin.tree)
