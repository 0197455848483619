"""What a pipeline says of its delivery: the branch, its commits, and the pull request for it."""

from __future__ import annotations

from interlock.core.values import dataclass

REMOTE = "origin"  # where a pull request is proposed


@dataclass(frozen=True, slots=True)
class PullRequest:
    """The delivered branch is pushed to `remote`, and proposed for `base`; empty: the default branch there."""

    remote: str = REMOTE
    base: str = ""
    draft: bool = False


@dataclass(frozen=True, slots=True)
class Deliver:
    branch: str = "interlock/{{ run.id }}"
    series: bool = False  # the handoffs as a series instead of one commit
    author: str = ""  # Name <mail>; empty: the user's configured identity
    sign: bool = False
    pull_request: PullRequest | None = None
