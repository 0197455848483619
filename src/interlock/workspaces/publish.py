"""Publishing: a commit of ours as a branch at a remote of the user's, and its removal.

Rule: the branch is created, or is there already as it would be; what somebody else put there is never overwritten,
and the user's repository does not change, not even its remote-tracking branches.
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
class Notice:
    """What is published: `commit` as `branch` of `remote`."""

    commit: str
    remote: str
    branch: str

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


def publish(git: Git, store: Path, notice: Notice) -> str:
    """Push, and return the remote's address. `git` is the user's own on their repository. Raises UsageError,
    InfrastructureError."""
    address = _address(git, notice.remote)
    lease = f"--force-with-lease={notice.ref}:"  # it has to be new, or at this very commit
    borrowed = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates_entry(store / "objects")}
    words = (*_PUSH, "--no-follow-tags", lease, address, f"{notice.commit}:{notice.ref}")
    done = git.call(*words, codes=range(256), extra=borrowed)
    if done.code:
        raise _not_pushed(notice, complaint(done))
    return address


def withdraw(git: Git, notice: Notice) -> None:
    """Delete the branch where it is still ours; one that is gone already is fine."""
    address = _address(git, notice.remote)
    lease = f"--force-with-lease={notice.ref}:{notice.commit}"
    done = git.call(*_PUSH, lease, address, f":{notice.ref}", codes=range(256))
    if done.code == 0 or _is_gone(git, address, notice):
        return
    raise InfrastructureError(
        f"branch {notice.branch} at {notice.remote} cannot be deleted: {complaint(done)}: delete it with"
        f" `git push {notice.remote} --delete {notice.branch}`"
    )


def _address(git: Git, remote: str) -> str:
    """Pushing to the address and not to the name leaves the tracking branches alone."""
    done = git.call("remote", "get-url", "--push", "--", remote, codes=range(256))
    if done.code:
        known = ", ".join(os.fsdecode(git.call("remote").out).split()) or "none"
        raise UsageError(f"there is no remote {remote} (there are: {known}): add it with `git remote add {remote} URL`")
    return os.fsdecode(done.out).strip()


def _is_gone(git: Git, address: str, notice: Notice) -> bool:
    done = git.call("ls-remote", "--quiet", address, notice.ref, codes=range(256))
    return done.code == 0 and not done.out.strip()


def _not_pushed(notice: Notice, said: str) -> InfrastructureError:
    if any(word in said for word in _REFUSED):
        return InfrastructureError(
            f"{notice.remote} refused the branch {notice.branch}: {said}: see whether somebody else's is there, or a"
            " rule of the remote forbids it",
            permanent=True,
        )
    return InfrastructureError(f"branch {notice.branch} cannot be pushed to {notice.remote}: {said}")
