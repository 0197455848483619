"""What the supervisor does for a room, where the machine refuses it."""

from __future__ import annotations

import os

import pytest

from interlock.process import room


def test_a_listener_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> int:
        raise BlockingIOError(11, "no room")

    monkeypatch.setattr(os, "fork", refuses)
    with pytest.raises(BlockingIOError):
        room.listeners(1, (80,))
