"""The program, which is killed where it is about to do something, or has just done it, or has a defect there:
`python -m tests.contract.temporal.victim before|after|defect PART WORDS...`

Rule: the product knows nothing of this. It is killed the first time.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from typing import Any

from interlock.cli import main
from interlock.gates.referee import Referee
from interlock.signing import SignedRecords
from interlock.workspaces import GitWorkspaces

PARTS: dict[str, tuple[type, str]] = {
    "judging": (Referee, "evaluate"),
    "packing": (GitWorkspaces, "pack"),
    "rejecting": (GitWorkspaces, "patch"),
    "accepting": (SignedRecords, "keep"),
    "merging": (GitWorkspaces, "merge"),
    "receiving": (GitWorkspaces, "receive"),
    "sending": (GitWorkspaces, "send"),
    "delivering": (GitWorkspaces, "create_branch"),
}


def attach(moment: str, part: str) -> None:
    owner, name = PARTS[part]
    called = getattr(owner, name)

    @functools.wraps(called)
    def dying(*args: Any, **given: Any) -> Any:
        if moment == "defect":
            raise KeyError("planted")
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        called(*args, **given)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)


if __name__ == "__main__":
    attach(sys.argv[1], sys.argv[2])
    sys.argv = ["interlock", *sys.argv[3:]]
    sys.exit(main())
