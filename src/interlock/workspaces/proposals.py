"""What a proposal would make of its base: both merged, as they are in the user's repository.

Rule: nothing is guessed. A path that cannot be merged, or comes out differently by merge base, is in conflict.
"""

from __future__ import annotations

from interlock.ports import Merged, Stamp, UsageError
from interlock.workspaces import merging, trees
from interlock.workspaces.base import Base
from interlock.workspaces.compare import write_commit
from interlock.workspaces.git import Git
from interlock.workspaces.objects import Objects

_STAMP = Stamp("interlock: the proposal merged with its base", 0)


def merge_bases(user: Git, onto: Base, proposed: str) -> tuple[str, ...]:
    """The commits that both come from. Raises UsageError where there is none."""
    found = user.call("merge-base", "--all", onto.commit, proposed, codes=(0, 1)).out.decode().split()
    if not found:
        raise UsageError(
            f"{onto.ref} and {proposed[:12]} have no commit in common here: fetch the whole history"
            " (`git fetch --unshallow`, `fetch-depth: 0`, `GIT_DEPTH: 0`)"
        )
    return tuple(sorted(found))


def merge_proposal(git: Git, objects: Objects, onto: Base, proposal: Base, bases: tuple[str, ...]) -> Merged:
    """The merge as a commit of both. All three are in the store, which has no history: each merge base in turn is
    their only parent."""
    found = [_merged_from(git, objects, (onto.tree, proposal.tree), each) for each in bases]
    first = objects.listing(found[0].tree)
    differing = (path for one in found[1:] for path in trees.differences(first, objects.listing(one.tree)))
    apart = tuple(path.decode("utf-8", "surrogateescape") for path in differing)
    conflicts = tuple(sorted({*apart, *(path for one in found for path in one.conflicts)}))
    commit = write_commit(objects, found[0].tree, (onto.commit, proposal.commit), _STAMP)
    return Merged(commit, found[0].tree, conflicts)


def _merged_from(git: Git, objects: Objects, sides: tuple[str, str], base: str) -> Merged:
    heads = [merging.Head(write_commit(objects, tree, (base,), _STAMP)) for tree in sides]
    return merging.merge(git, objects, heads, _STAMP)
