"""One attempt as a kind sees it, with a checkout and a state in the folder of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interlock.agents.driven import AttemptRequest
from interlock.core.ids import AttemptId
from interlock.ports import Brief, Checkout


def request_in(folder: Path, endpoint: str = "", **brief: Any) -> AttemptRequest:
    fields: dict[str, Any] = {"env": {}, "timeout_s": 10, "idle_timeout_s": 0, "model": "", **brief}
    brief_of = Brief("r", AttemptId("code", 1, 1), "Do it.", "Do it.", **fields)
    return AttemptRequest(brief_of, endpoint, login=False, state=folder, tree=folder)


def checkout_in(folder: Path) -> Checkout:
    return Checkout(folder, folder, folder, folder)
