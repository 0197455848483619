"""Stores of released versions, unpacked where a user would have them."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.contract.cli_world import World

from interlock.settings import repository_key

STORES = sorted(Path(__file__).parents[1].joinpath("golden").glob("*.tar.gz"))
BEFORE = next(path for path in STORES if path.name.startswith("61f2979"))  # no digests, no ids
SUITE = '<testsuite name="s" tests="1"><testcase classname="t" name="test_a" file="tests/test_a.py"/></testsuite>'
TASKS = {
    "in flight": "interrupted", "rejected": "waiting", "waits": "waiting", "cancelled": "cancelled",
    "joined": "accepted", "accepted": "accepted",
}  # fmt: skip


def unpacked(store: Path, root: Path) -> World:
    """The store as its version left it, moved to where the repository lies now."""
    with tarfile.open(store) as packed:
        packed.extractall(root, filter="fully_trusted")
    critic = root / "critic.sh"  # by now an answer in a file must have the mark, and one that is printed need not
    critic.write_text(critic.read_text().replace(' > "$INTERLOCK_ANSWER"', ""))
    found = World(root, root / "project", {"GOLDEN": str(root), "SUITE": SUITE, "USER": "somebody"})
    folder = state_of(found)
    if not (found.repository / ".git/interlock-id").exists():  # of the time when the path alone named it
        folder.rename(folder.with_name(repository_key((found.repository / ".git").resolve())))
    return found


def state_of(world: World) -> Path:
    """The folder of the repository's journal and store."""
    (folder,) = (world.root / "state/interlock").glob("project-*")
    return folder


def phases(world: World, code: int = 0) -> dict[str, str]:
    """By task; by id where the task is not known."""
    return {run["task"] or run["id"]: run["phase"] for run in world.ask("list", "--json").ended(code).json()["runs"]}


def runs(world: World) -> dict[str, str]:
    """Ids by task."""
    return {run["task"]: run["id"] for run in world.ask("list", "--json").json()["runs"]}
