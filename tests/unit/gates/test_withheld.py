"""What only waits for a place does not begin once that is withheld; what has worked goes on."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from interlock.agents.credentials import lent_login
from interlock.gates.locks import Slots, hold_locks
from interlock.ports import Cancelled, Permit


def test_what_may_not_begin_any_more_takes_nothing(tmp_path: Path) -> None:
    permit = Permit()
    permit.withhold()
    with (
        hold_locks(tmp_path, ["db"], threading.Event()),
        pytest.raises(Cancelled),
        hold_locks(tmp_path, ["db"], permit),
    ):
        pytest.fail("the lock was held twice")
    with pytest.raises(Cancelled), Slots(tmp_path, 1).acquire(permit):
        pytest.fail("it began")
    with Slots(tmp_path, 1).acquire(threading.Event()):
        pass  # the slot is free again


def test_what_has_worked_waits_for_its_rest(tmp_path: Path) -> None:
    permit, slots = Permit(), Slots(tmp_path, 1)
    with slots.acquire(permit):
        permit.withhold()
    other = ExitStack()
    other.enter_context(slots.acquire(threading.Event()))
    threading.Timer(0.3, other.close).start()
    with slots.acquire(permit) as slot:
        assert slot.number == 0


def test_a_login_that_another_one_has_is_not_waited_for(tmp_path: Path) -> None:
    permit, login = Permit(), tmp_path / "login"
    login.write_text("{}")
    permit.withhold()
    with (
        lent_login(login, tmp_path / "one", threading.Event()),
        pytest.raises(Cancelled),
        lent_login(login, tmp_path / "two", permit),
    ):
        pytest.fail("it began")
