"""The real programs at the level `fs`: they reach only the model server, and their commands write only their folders
and read nothing of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.agents.world import KEYS, checkout_in, work
from tests.model_server.script import Step
from tests.model_server.server import ModelServer
from tests.rooms_here import needs_fences

from interlock.ports import Ended, Sandbox

pytestmark = needs_fences

_LOOKS = (
    "pwd > seen; cat /etc/shadow ../../key >> seen; ls ../.. / /tmp >> seen; echo x > ../../new; echo x > ~/own; "
    "echo two > a.txt"
)
SCENARIOS = {
    "look": (Step("shell", _LOOKS), Step("say", "All done.")),
    "edit": (Step("edit", "two\n", "a.txt", "one\n"), Step("say", "All done.")),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_real_program_works_behind_a_fence(name: str, model: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("TOPSECRET")
    checkout = checkout_in(tmp_path / "place", Sandbox("fs"))
    only = model.base.removeprefix("http://")
    outcome = work(name, model.base, "edit" if name == "aider" else "look", checkout, hosts=(only,))
    if name == "qwen":
        assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, True)
        assert "its commands need terminals, which the sandbox `fs` has not" in outcome.message
        return
    assert outcome.ended is Ended.COMPLETED, (outcome, outcome.log and outcome.log.read_text()[-3000:])
    assert (checkout.tree / "a.txt").read_text() == "two\n"
    if name != "aider":  # it starts no commands of its model
        assert (checkout.tree / "seen").read_text().split() == [str(checkout.tree)]
        assert not (tmp_path / "new").exists()
