"""The folders of attempts and gates: places/RUN/STAGE-EPOCH.NUMBER-N, and places/room-X, each with tree, home and tmp.

Rule: every place has a path that was not there before, so that what still writes to an old one meets nobody.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import quote

from interlock.core.ids import AttemptId
from interlock.ports import Checkout, InfrastructureError
from interlock.ports.disk import disk_error
from interlock.process import end_left
from interlock.workspaces.removal import remove

_TRIES_MAX = 1000


class Checkouts:
    """Makes and removes places below one folder. In a `former` one, of an earlier version, they are only removed."""

    def __init__(self, folder: Path, former: Path | None = None) -> None:
        self.folder = folder
        self.folders = (folder,) if former is None else (folder, former)
        self._stays: list[str] = []

    def of_attempt(self, run: str, attempt: AttemptId) -> Checkout:
        """A new place for the attempt; what it had before is removed."""
        last = self.discard(run, attempt)
        parent = self.folder / run
        for number in range(last + 1, last + _TRIES_MAX):
            root = parent / f"{_stem(attempt)}-{number}"
            try:
                root.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise disk_error(root, error) from error
            return _furnished(root)
        raise InfrastructureError(f"{parent}: no free place for {attempt}")

    def newest(self, run: str, attempt: AttemptId) -> Path | None:
        """The root of the place that the attempt has, None where it has none."""
        roots = (self.folder / run).glob(f"{_stem(attempt)}-*")
        return max(roots, key=lambda root: int(root.name.rpartition("-")[2]), default=None)

    def of(self, kind: str) -> Checkout:
        """A new place for a gate or a setup."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return _furnished(Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.folder)))
        except OSError as error:
            raise disk_error(self.folder, error) from error

    def discard(self, run: str, attempt: AttemptId) -> int:
        """Remove what the attempt has, as `wipe`. Returns the highest number among its places, 0 for none."""
        last = 0
        for root in sorted(root for folder in self.folders for root in (folder / run).glob(f"{_stem(attempt)}-*")):
            number = root.name.rpartition("-")[2]
            last = max(last, int(number) if number.isdigit() else 0)
            end_left(root)
            self.wipe(root)
        return last

    def wipe(self, root: Path) -> None:
        """Remove a place whatever is in it. What cannot be removed is in nobody's way: it is told by `leavings`, and
        `gc` tries again."""
        try:
            remove(root)
        except InfrastructureError as error:
            self._stays.append(str(error))

    def leavings(self) -> tuple[str, ...]:
        """What could not be removed since this was asked last."""
        told, self._stays = self._stays, []
        return tuple(told)


def _stem(attempt: AttemptId) -> str:
    item = f"@{quote(attempt.item, safe='')[:80]}" if attempt.item else ""
    return f"{attempt.stage}{item}-{attempt.epoch}.{attempt.number}"


def _furnished(root: Path) -> Checkout:
    checkout = Checkout(root, root / "tree", root / "home", root / "tmp")
    try:
        for folder in (checkout.tree, checkout.home, checkout.tmp):
            folder.mkdir()
    except OSError as error:
        raise disk_error(root, error) from error
    return checkout
