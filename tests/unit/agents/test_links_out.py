"""What a program leaves in its state is read by Interlock, with the rights of the user."""

from __future__ import annotations

from pathlib import Path

from interlock.agents.program import remove_links_out


def test_links_that_lead_out_are_removed_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann/key").write_text("secret")
    state = tmp_path / "one/state"
    (state / "sessions/1").mkdir(parents=True)
    (state / "log").write_text("mine")
    (state / "latest").symlink_to("sessions/1")
    (state / "sessions/1/link").symlink_to("../../log")
    (state / "sessions/1/key").symlink_to(tmp_path / "ann/key")
    (state / "sessions/2").symlink_to(tmp_path / "ann")
    (state / "up").symlink_to("../..")
    (state / "none").symlink_to("/nowhere/at/all")
    (state / "loop").symlink_to("loop")
    remove_links_out(state)
    left = {str(path.relative_to(state)) for path in state.rglob("*")}
    assert left == {"log", "latest", "sessions", "sessions/1", "sessions/1/link", "loop", "none"}
    assert (tmp_path / "ann/key").read_text() == "secret"
