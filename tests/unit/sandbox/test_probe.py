"""What to switch on where no room can be made, by what forbids it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

probing = import_module("interlock.sandbox.probe")
RESTRICTED = "kernel/apparmor_restrict_unprivileged_userns"


@pytest.mark.parametrize(
    ("marks", "settings", "said"),
    [
        ((), {RESTRICTED: "1"}, ["/etc/apparmor.d/bwrap"]),
        ((), {"kernel/unprivileged_userns_clone": "0"}, ["unprivileged_userns_clone=1"]),
        ((), {"user/max_user_namespaces": "0"}, ["max_user_namespaces=10000"]),
        ((), {}, ["is this a container"]),
        (("/.dockerenv",), {}, ["apparmor=unconfined"]),
        (("/run/.containerenv",), {RESTRICTED: "1"}, ["unmask=ALL", "On its host"]),
    ],
)
def test_it_says_what_to_switch_on(
    marks: tuple[str, ...], settings: dict[str, str], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_setting", lambda name: settings.get(name, ""))
    monkeypatch.setattr(Path, "exists", lambda self: str(self) in marks)
    reasons = list(probing._reasons("bwrap: Operation not permitted"))
    assert len(reasons) == len(said)
    for reason, words in zip(reasons, said, strict=True):
        assert words in reason


def test_for_no_sandbox_none_is_tried(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n: > {tried}\n")
    program.chmod(0o755)
    probing.require("none", {"PATH": str(tmp_path)})
    assert not tried.exists()
    assert probing.missing("full", {"PATH": str(tmp_path)})
    assert tried.exists()
