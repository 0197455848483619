"""Publish a commit as a branch at a remote of the user, and remove that branch.

Rule: a branch is created, or exists already with the same commit. A branch of somebody else is never overwritten. The
user's repository does not change, not even its remote-tracking branches.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from interlock.ports import InfrastructureError, UsageError
from interlock.workspaces.delivery import alternates_entry
from interlock.workspaces.git import Git, complaint

_PUSH = ("push", "--quiet", "--no-verify", "--no-signed", "--recurse-submodules=no")  # no program but the transport's
_REFUSED = ("stale info", "[rejected]", "[remote rejected]")


@dataclass(frozen=True, slots=True)
class Publication:
    """`commit` is published as `branch` of `remote`."""

    commit: str
    remote: str
    branch: str

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


def publish(git: Git, store: Path, publication: Publication) -> str:
    """Push, and return the remote's address. `git` uses the user's configuration. Raises UsageError,
    InfrastructureError."""
    address = _address(git, publication.remote)
    lease = f"--force-with-lease={publication.ref}:"  # the branch must be new, or at this commit
    borrowed = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates_entry(store / "objects")}
    words = (*_PUSH, "--no-follow-tags", lease, address, f"{publication.commit}:{publication.ref}")
    done = git.call(*words, codes=range(256), extra=borrowed)
    if done.code:
        raise _not_pushed(publication, complaint(done))
    return address


def withdraw(git: Git, publication: Publication) -> None:
    """Delete the branch if it still is at our commit. It is no error if it does not exist."""
    address = _address(git, publication.remote)
    lease = f"--force-with-lease={publication.ref}:{publication.commit}"
    done = git.call(*_PUSH, lease, address, f":{publication.ref}", codes=range(256))
    if done.code == 0 or _is_gone(git, address, publication):
        return
    raise InfrastructureError(
        f"branch {publication.branch} at {publication.remote} cannot be deleted: {complaint(done)}: delete it with"
        f" `git push {publication.remote} --delete {publication.branch}`"
    )


def _address(git: Git, remote: str) -> str:
    """The address of the remote. A push to the address, not to the name, does not change tracking branches."""
    done = git.call("remote", "get-url", "--push", "--", remote, codes=range(256))
    if done.code:
        known = ", ".join(os.fsdecode(git.call("remote").out).split()) or "none"
        raise UsageError(f"there is no remote {remote} (there are: {known}): add it with `git remote add {remote} URL`")
    return os.fsdecode(done.out).strip()


def _is_gone(git: Git, address: str, publication: Publication) -> bool:
    done = git.call("ls-remote", "--quiet", address, publication.ref, codes=range(256))
    return done.code == 0 and not done.out.strip()


def _not_pushed(publication: Publication, reason: str) -> InfrastructureError:
    if any(word in reason for word in _REFUSED):
        return InfrastructureError(
            f"{publication.remote} refused the branch {publication.branch}: {reason}: check whether the branch"
            " exists there with another commit, or a rule of the remote forbids it",
            permanent=True,
        )
    return InfrastructureError(f"branch {publication.branch} cannot be pushed to {publication.remote}: {reason}")
