"""The real programs in a sandbox, which reaches only the model server: they find what they need, and their commands see
nothing else of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.agents.world import KEYS, checkout_in, work
from tests.model_server.script import Step
from tests.model_server.server import ModelServer
from tests.rooms_here import needs_rooms

from interlock.ports import Ended, Sandbox

pytestmark = needs_rooms

_LOOKS = "pwd > seen; id -u >> seen; ls /proc | grep -c '^[0-9]' >> seen; cat /etc/shadow >> seen; echo two > a.txt"
SCENARIOS = {
    "look": (Step("shell", _LOOKS), Step("say", "All done.")),
    "edit": (Step("edit", "two\n", "a.txt", "one\n"), Step("say", "All done.")),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_real_program_works_in_a_room(name: str, model: ModelServer, tmp_path: Path) -> None:
    checkout = checkout_in(tmp_path / "place", Sandbox("full"))
    only = model.base.removeprefix("http://")
    outcome = work(name, model.base, "edit" if name == "aider" else "look", checkout, hosts=(only,))
    assert outcome.ended is Ended.COMPLETED, (outcome, outcome.log and outcome.log.read_text()[-3000:])
    assert (checkout.tree / "a.txt").read_text() == "two\n"
    if name != "aider":  # it starts no commands of its model
        where, uid, processes = (checkout.tree / "seen").read_text().split()
        assert (where, uid) == ("/w/tree", "1000")
        assert int(processes) < 20
