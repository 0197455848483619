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
KEY = "sk-TOPSECRET-0123456789abcdef"
_SEARCHES = (
    "env > seen; grep -alsr '[T]OPSECRET' /w /tmp /proc/*/environ /proc/*/cmdline /etc > found; "
    "for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ >> seen; done; echo two > a.txt"
)
SCENARIOS = {
    "search": (Step("shell", _SEARCHES), Step("say", "All done.")),
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


@pytest.mark.parametrize("name", KEYS)
def test_a_key_stays_outside_of_the_room(name: str, model: ModelServer, tmp_path: Path) -> None:
    checkout = checkout_in(tmp_path / "place", Sandbox("full"))
    scenario = "edit" if name == "aider" else "search"
    key = {KEYS[name]: KEY, "COPY": f"is {KEY}"}
    before = len(model.requests)
    outcome = work(name, model.base, scenario, checkout, hosts=(), more=key, key="proxied")
    assert outcome.ended is Ended.COMPLETED, (outcome, outcome.log and outcome.log.read_text()[-3000:])
    assert (checkout.tree / "a.txt").read_text() == "two\n"
    assert len(model.headers) > before
    for told in model.headers[before:]:
        assert KEY in (told.get("authorization") or told.get("x-api-key") or told.get("x-goog-api-key") or "")
    for path in (tmp_path / "place").rglob("*"):
        assert path.is_symlink() or not path.is_file() or KEY.encode() not in path.read_bytes(), path
    if name != "aider":
        assert (checkout.tree / "found").read_text() == ""
        assert "COPY=is proxied-" in (checkout.tree / "seen").read_text()
