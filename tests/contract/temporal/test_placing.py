"""Which worker takes what: by agents, labels and secrets, and what is said where no worker fits."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("temporalio", reason="the Temporal client is not installed")

from tests.contract.cli_world import World, new_world
from tests.contract.temporal.world import Cluster, Server, cluster_in, free_port, program, run_on, until

from interlock.engines.temporal.fleet import FleetWorkflow
from interlock.engines.temporal.needs import offer_of

HERE = 'echo "$MACHINE" > a.txt'
LABELLED = f"""\
version: 1
agents:
  writer: {{use: command, env: [MACHINE], run: [bash, -c, '{HERE}']}}
stages:
  code:
    labels: [gpu]
    agent: writer
    gates: [{{id: there, env: [MACHINE], run: 'test "$MACHINE" = "$(cat a.txt)"'}}]
"""
APART = f"""\
version: 1
agents:
  writer: {{use: command, env: [MACHINE], run: [bash, -c, '{HERE}']}}
stages:
  code:
    referee: elsewhere
    agent: writer
    gates: [{{id: apart, env: [MACHINE], run: 'test -s a.txt && test "$MACHINE" != "$(cat a.txt)"'}}]
"""
AGENT = """\
version: 1
agents:
  coder: {use: goose, secrets: [OPENAI_API_KEY], env: [GOOSE_MODEL]}
stages:
  code: {agent: coder, gates: [{id: g, run: "test -s a.txt"}]}
"""
BESIDE = """\
version: 1
stages:
  far: {labels: [gpu], run: "echo 1 > far.txt"}
  near: {run: "echo 1 > near.txt"}
  both: {needs: [far, near], gates: [{id: g, run: "true"}], on_reject: [{pause: true}]}
"""
LONG = """\
version: 1
stages:
  code: {env: [HERE], run: 'touch "$HERE/at-work"; until [ -e "$HERE/go" ]; do sleep 0.1; done; echo x > a.txt'}
"""
MEETS = (
    'touch "$HERE/$0"; for i in {1..250}; do [ "$(ls "$HERE" | wc -l)" = 2 ] && break; sleep 0.1; done; ls "$HERE" > $0'
)
AT_ONCE = f"""\
version: 1
agents:
  one: {{use: command, env: [HERE], run: [bash, -c, '{MEETS}', one]}}
  two: {{use: command, env: [HERE], run: [bash, -c, '{MEETS}', two]}}
stages:
  one: {{labels: [few], agent: one, gates: [{{id: g, run: "test $(wc -l < one) = 2"}}], on_reject: [{{pause: true}}]}}
  two: {{labels: [few], agent: two, gates: [{{id: g, run: "test $(wc -l < two) = 2"}}], on_reject: [{{pause: true}}]}}
  both: {{needs: [one, two]}}
"""
EITHER = """\
version: 1
agents:
  coder: {use: claude, secrets: [ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN]}
stages:
  code: {agent: coder, gates: [{id: g, run: "true"}]}
"""
SECRET = f"""\
version: 1
stages:
  code:
    secrets: [TOKEN]
    env: [MACHINE]
    run: '{HERE}'
    gates: [{{id: g, run: "test -s a.txt"}}]
"""


@pytest.fixture
def many(tmp_path: Path, server: Server) -> Iterator[Cluster]:
    with cluster_in(tmp_path / "many", server, MACHINE="plain") as found:
        yield found


def made_by(far: World, run: str) -> str:
    return far.git("show", f"interlock/{run}:a.txt")


def said_until(process: subprocess.Popen[str], words: str) -> str:
    """The first line on stderr with `words`."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if words in line:
            return line
        said.append(line)
    raise AssertionError(f"it ended and never said {words}: {said}")


def test_a_label_decides_who_works_and_who_judges(tmp_path: Path, many: Cluster) -> None:
    many.start("other", "--labels", "big,gpu", MACHINE="special")
    far = many.submitter(tmp_path / "far", {"interlock.yaml": LABELLED})
    assert made_by(far, run_on(far)) == "special"


def test_where_no_worker_fits_it_is_said_until_one_comes(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": LABELLED})
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    said_until(process, "warning: stage code waits for a worker with label gpu")
    line = said_until(process, "waits for")
    waits = "gate there waits for a worker with label gpu: interlock worker --labels gpu"
    assert line.split(maxsplit=2)[1:] == ["base", waits + "\n"]
    assert "waits for a worker with label gpu" in far.ask("status").text
    process.kill()
    process.communicate()
    assert "waits for a worker with label gpu" in far.ask("status").text  # nobody follows
    many.start("other", "--labels", "gpu", MACHINE="special")
    ended = far.ask("resume", "--plain").ended(0)
    assert made_by(far, ended.out.split()[1]) == "special"


def test_what_waits_for_a_worker_is_in_nobodys_way(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": BESIDE})
    settings = Path(far.environment()["XDG_CONFIG_HOME"]) / "interlock" / "settings.yaml"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "max_parallel": 1}))
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    assert "near/1.1" in said_until(process, "accepted")
    until(lambda: "waits for a worker with label gpu" in far.ask("status").text)
    far.ask("cancel", "--plain")
    process.communicate(timeout=300)


def test_an_agent_waits_for_a_worker_that_has_its_program(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": AGENT})
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    words = "waits for a worker with agent goose, secret OPENAI_API_KEY: interlock worker --agents goose --secrets OP"
    assert words in said_until(process, "warning: stage code")
    assert words in said_until(process, "waits for a worker with")
    assert far.show()["stages"][0]["attempts"] == [], "it is claimed, and nobody works"
    far.ask("cancel", "--plain")
    process.communicate(timeout=300)
    assert far.show()["phase"] == "cancelled"


def test_a_secret_goes_to_a_worker_that_has_it(tmp_path: Path, many: Cluster) -> None:
    many.machines[1].kill()
    many.start("none", "--secrets", "", MACHINE="none")
    many.start("token", "--secrets", "TOKEN", MACHINE="token", TOKEN="t")
    far = many.submitter(tmp_path / "far", {"interlock.yaml": SECRET})
    assert made_by(far, run_on(far)) == "token"


def test_what_begins_at_once_goes_to_workers_of_one_rank_in_turn(tmp_path: Path, many: Cluster) -> None:
    here = tmp_path / "meeting"
    here.mkdir()
    for name in ("FIRST", "SECOND"):
        words = ("--slots", "1", "--labels", "few", "--secrets", name)
        many.start(name.lower(), *words, HERE=str(here), **{name: "x"})
    run_on(many.submitter(tmp_path / "far", {"interlock.yaml": AT_ONCE}))


def test_one_of_the_keys_of_an_agent_is_enough(tmp_path: Path, many: Cluster) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    many.machines[1].kill()
    many.start("none", MACHINE="none", PATH=path)  # without --secrets: it offers all that are set
    far = many.submitter(tmp_path / "far", {"interlock.yaml": EITHER})
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    words = "waits for a worker with agent claude, secret ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"
    assert words in said_until(process, "warning: stage code")
    assert words in said_until(process, "waits for a worker with")
    many.start("one", "--secrets", "CLAUDE_CODE_OAUTH_TOKEN", PATH=path, CLAUDE_CODE_OAUTH_TOKEN="t")
    assert " works" in said_until(process, "code/1.1 ")
    far.ask("cancel", "--plain")
    process.communicate(timeout=300)


def test_what_a_dead_worker_left_in_its_queue_is_placed_anew(tmp_path: Path, many: Cluster) -> None:
    """The one that has just been killed is taken for alive, and preferred."""
    many.start("other", "--labels", "spare", MACHINE="special")
    far = many.submitter(tmp_path / "far", {"interlock.yaml": SECRET})
    many.machines[1].kill()
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    assert "gate g waits until a worker that can do it is free" in said_until(process, "waits")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert made_by(far, out.split()[1]) == "special"


def test_a_worker_whose_slots_are_taken_for_long_lives(tmp_path: Path, server: Server) -> None:
    many = Cluster(tmp_path / "many", server, f"q{free_port()}")
    try:
        many.start("controller", "--controller")
        many.start("worker", "--slots", "1", HERE=str(tmp_path))
        first = many.submitter(tmp_path / "first", {"interlock.yaml": LONG})
        other = many.submitter(tmp_path / "other", {"interlock.yaml": LONG})
        at_work = first.start("run", "--engine", "temporal", "--plain", "-t", "x")
        until((tmp_path / "at-work").exists, "no attempt began")
        waiting = other.start("run", "--engine", "temporal", "--plain", "-t", "x")
        run = said_until(waiting, "run 2").split()[1]
        until(lambda: "ACTIVITY_TASK_TIMED_OUT" in server_history(server, run), "nobody looked again for a place")
        (tmp_path / "go").touch()
        said = [process.communicate(timeout=300)[1] for process in (at_work, waiting)]
        assert (at_work.returncode, waiting.returncode) == (0, 0), said
        assert said[1].count("waits until a worker that can do it is free") == 1
        assert "waits for a worker" not in said[1]
    finally:
        many.close()


def test_an_attempt_of_a_worker_that_is_stopped_begins_anew_elsewhere(tmp_path: Path, many: Cluster) -> None:
    many.machines[1].kill()
    stopped = many.start("stopped", HERE=str(tmp_path))
    far = many.submitter(tmp_path / "far", {"interlock.yaml": LONG})
    process = far.start("run", "--engine", "temporal", "--sandbox", "none", "--plain", "-t", "x")
    until((tmp_path / "at-work").exists, "no attempt began")
    stopped.terminate()
    stopped.communicate()
    (tmp_path / "go").touch()
    many.start("other", HERE=str(tmp_path))
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "code/1.1     lost: its worker was stopped; this does not count as an attempt" in said


def server_history(server: Server, run: str) -> str:
    words = ("workflow", "show", "--workflow-id", f"interlock-{run}", "--output", "json")
    argv = [program(), *words, "--address", f"127.0.0.1:{server.port}"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_without_a_controller_it_is_said(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": SECRET})
    many.machines[0].kill()
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    assert "waits for a controller: interlock worker --controller" in said_until(process, "waits")
    many.start("other", "--controller")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert made_by(far, out.split()[1]) == "plain"


def test_another_worker_judges_once_there_is_one(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": APART})
    process = far.start("run", "--engine", "temporal", "--plain", "-t", "x")
    assert "gate apart waits for a worker other than " in said_until(process, "waits for")
    many.start("other", MACHINE="special")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert made_by(far, out.split()[1]) == "plain"


def test_a_wait_for_a_worker_is_in_json_and_counts_against_no_limit(tmp_path: Path, many: Cluster) -> None:
    far = many.submitter(tmp_path / "far", {"interlock.yaml": APART})
    process = far.start("run", "--engine", "temporal", "--json", "-t", "x")
    assert process.stdout is not None
    told = next(line for line in map(json.loads, process.stdout) if line["kind"] == "held_up" and line["held_up"])
    (held,) = told["held_up"]
    assert (held["subject"], held["gate"]) == ("code/1.1", "apart")
    assert held["why"].startswith("waits for a worker other than ")
    assert far.ask("status", "--json").json()["held_up"] == [held]
    assert far.ask("list", "--json").json()["held_up"] == [held]
    began = time.monotonic()
    time.sleep(15)
    waited_s = time.monotonic() - began
    many.start("other", MACHINE="special")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert '"held_up": []' in out
    assert far.show()["spent"]["wall_s"] < waited_s


def test_one_machine_cannot_judge_elsewhere(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": APART})
    world.ask("run", "-t", "x").ended(2, "the stage code has `referee: elsewhere`", "--engine temporal")


def test_offers_are_remembered_once_each_the_newest_last_and_not_without_end() -> None:
    fleet = FleetWorkflow([])
    offers = [offer_of([], labels=[f"label-{number}"]) for number in range(250)]
    for offer in [*offers, offers[100]]:
        fleet.offered(offer)
    assert fleet.offers() == [*offers[50:100], *offers[101:], offers[100]]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--agents", "codx"), "--agents codx: there is no such kind, there are acp, aider"),
        (("--agents", "goose"), "--agents goose: goose is not installed here: install it, or leave goose out"),
        (("--secrets", "TOKEN"), "--secrets TOKEN: it is not set here: set it, or leave it out"),
        (("--labels", "Big one"), "--labels Big one: a label is lower-case letters"),
        (("--controller", "--labels", "gpu"), "a controller starts no agents"),
    ],
)
def test_an_offer_that_cannot_be_held_is_refused(tmp_path: Path, words: tuple[str, ...], wrong: str) -> None:
    world = World(tmp_path, tmp_path, {"PATH": "/usr/bin:/bin"})
    world.ask("worker", *words).ended(2, wrong)
