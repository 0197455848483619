"""What an agent is given, told and shown: nothing of it names the state folder, a blob, or what is held out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of

from interlock.core.pipeline import Stage
from interlock.execution.briefing.rejections import read, tried, wrong
from interlock.journal import FileBlobs

_APPROVE = json.dumps({"verdict": "approve", "findings": [], "earlier": [], "requirements": []})

# Plays a `command` and, under that name, `claude`: it keeps all that it can see, then works, badly at first.
_SPY = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path

tree, kept = Path.cwd(), Path("@kept@")
number = len(list(kept.iterdir()))
told = sys.stdin.read()
parts = [*sys.argv, told, *(f"{{name}}={{value}}" for name, value in os.environ.items())]
for folder, _, files in os.walk(tree.parent):
    for path in [Path(folder), *(Path(folder, name) for name in files)]:
        parts.append(str(path))
        parts.append(os.readlink(path) if path.is_symlink() else "")
        parts.append(path.read_text("utf-8", "replace") if path.is_file() else "")
(kept / f"{{number}}-{{Path(sys.argv[0]).name}}").write_text("\\n".join(parts))
review = '"verdict"' in told
if not review:
    (tree / "a.txt").write_text(f"{{number}}\\n")
if Path(sys.argv[0]).name == "claude":
    home = Path(os.environ["CLAUDE_CONFIG_DIR"])
    session = home / "projects" / "p" / "0-1.jsonl"
    session.parent.mkdir(parents=True, exist_ok=True)
    session.write_text("{{}}")
    said = {_APPROVE!r} if review else "done"
    print(json.dumps({{"type": "result", "is_error": False, "result": said, "session_id": "0-1"}}))
elif review:
    print({_APPROVE!r})
"""

_PIPELINE = """\
version: 1
name: own
agents:
  worker: {{use: command, run: [{spy}]}}
  critic: {{use: command, run: [{spy}]}}
  claude: {{use: claude}}
defaults: {{timeout: 60s}}
stages:
  one:
    agent: worker
    prompt: "Mend it."
    writes: [a.txt]
    gates:
      - {{id: second, run: "cat a.txt; test $(cat a.txt) -ge 1"}}
      - {{id: look, review: {{by: [critic, claude]}}}}
  two:
    needs: [one]
    agent: claude
    session: resume
    prompt: "Mend it. {{{{ feedback }}}}"
    writes: [a.txt]
    gates:
      - {{id: hidden, run: 'test "$(cat "$HELD_OUT/least")" -lt "$(cat a.txt)"', held_out: least}}
      - {{id: fifth, run: "cat a.txt; test $(cat a.txt) -ge 5"}}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    spies, kept = tmp_path / "spies", tmp_path / "kept"
    spies.mkdir()
    kept.mkdir()
    for name in ("spy", "claude"):
        (spies / name).write_text(_SPY.replace("@kept@", str(kept)))
        (spies / name).chmod(0o755)
    path = os.pathsep.join((str(spies), os.environ["PATH"]))
    pipeline = _PIPELINE.format(spy=spies / "spy")
    made = new_world(tmp_path / "world", {"a.txt": "-1\n", "interlock.yaml": pipeline}, PATH=path)
    hidden, settings = tmp_path / "hidden-away", tmp_path / "world/home/.config/interlock/settings.yaml"
    hidden.mkdir()
    (hidden / "least").write_text("1\n")
    settings.parent.mkdir(parents=True)
    settings.write_text(f"held_out: {{least: {hidden}}}\n")
    return made


def test_nothing_of_ours_is_named_to_an_agent(world: World) -> None:
    hidden = world.root.parent / "hidden-away"
    world.ask("run", "-t", "Go", "--plain", INTERLOCK_HELD_OUT_OTHER=str(hidden)).ended(0)
    seen = {path.name: path.read_text() for path in sorted((world.root.parent / "kept").iterdir())}
    names = [name.partition("-")[2] for name in sorted(seen)]
    assert sorted(names) == ["claude", "claude", "claude", "spy", "spy", "spy"]
    assert len(stage_of(world.show(), "one")["attempts"]) == 2
    assert len(stage_of(world.show(), "two")["attempts"]) == 2
    for name, text in seen.items():
        assert str(world.root / "state") not in text, name
        assert "hidden-away" not in text, name
        assert "INTERLOCK_HELD_OUT" not in text, name
    assert "--resume" in seen["5-claude"]
    assert "rehearsal.json" in seen["4-claude"]
    retries = [text for text in seen.values() if "was rejected" in text]
    assert len(retries) == 2
    assert [text.count("\n+++ b/a.txt\n") for text in retries] == [2, 0]  # sent and as $BRIEF; a session knows it


def test_feedback_that_an_earlier_version_wrote_can_be_told(tmp_path: Path) -> None:
    """It holds the path of a blob."""
    blobs = FileBlobs(tmp_path / "state" / "blobs")
    patch = blobs.path(blobs.put(b"the patch\n"))
    said = {"attempt": "code/1.1", "findings": ["test: no"], "output": {}, "patch": str(patch)}
    (read_again,) = read(blobs, [blobs.put(json.dumps(said).encode())])
    stage = Stage("code")
    assert "- test: no" in wrong(stage, [read_again])
    text, _, whole = tried(stage, [read_again], blobs)
    assert "\nthe patch\n" in text
    assert whole == b""
    assert str(tmp_path / "state") not in text


HELD = """\
version: 1
name: own
stages:
  code:
    run: echo more >> a.txt
    gates:
      - {{id: hidden, run: 'grep right "$HELD_OUT"', held_out: {held_out}}}
"""


def test_a_name_that_nothing_explains_stops_the_run_and_says_what_to_write(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"interlock.yaml": HELD.format(held_out="prices")})
    world.ask("validate").ended(0)
    said = world.ask("run", "-t", "Go", "--plain")
    assert said.code != 0
    assert "held_out: {prices: /where/they/are}" in said.text
    assert "INTERLOCK_HELD_OUT_PRICES" in said.text
    doctor = world.ask("doctor").ended(2, "held out: prices: no setting says where", "code/hidden cannot be judged")
    assert "settings" in doctor.text
    file = tmp_path / "file"
    file.write_text("right")
    found = {"INTERLOCK_HELD_OUT_PRICES": str(file)}
    world.ask("doctor", **found).ended(0, f"held out: prices: {file}")
    world.ask("check", **found).ended(0)
    world.ask("run", "-t", "Go", "--plain", **found).ended(0)


def test_a_path_in_a_pipeline_works_and_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "Some checks").write_text("right")
    held_out = json.dumps(str(tmp_path / "Some checks"))
    world = new_world(tmp_path / "w", {"interlock.yaml": HELD.format(held_out=held_out)})
    said = world.ask("validate").ended(
        0, "interlock.yaml:7:", "warning: an agent can read this path to the held-out files"
    )
    assert f"held_out: {{some-checks: {tmp_path}/Some checks}}" in said.text
    world.ask("check").ended(0)


def test_no_pipeline_can_pass_on_where_they_are(tmp_path: Path) -> None:
    text = HELD.format(held_out="prices").replace("    run:", "    env: [INTERLOCK_HELD_OUT_PRICES]\n    run:")
    world = new_world(tmp_path / "w", {"interlock.yaml": text})
    world.ask("validate").ended(2, "interlock.yaml:5:", "INTERLOCK_HELD_OUT_PRICES")


def test_doctor_tells_where_checkouts_lie_and_whether_they_can(tmp_path: Path) -> None:
    world = new_world(tmp_path / "w", {"a.txt": ""})
    world.ask("doctor").ended(0, f"cache: {world.root}/home/.cache/interlock/project-")
    file = tmp_path / "file"
    file.write_text("")
    said = world.ask("doctor", INTERLOCK_CACHE_HOME=str(file / "cache"))
    said.ended(5, "cannot be written: make it writable, or set another folder in INTERLOCK_CACHE_HOME")
