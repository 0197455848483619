"""An agent in a stage asks its own gates by the MCP tool `check`, and repairs its work before it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from tests.contract.agents.world import KEYS, MODELS, bin_of
from tests.contract.cli_world import World, new_world, stage_of
from tests.model_server.languages import read
from tests.model_server.script import Step, number_of
from tests.model_server.server import serving
from tests.rooms_here import needs_fences, needs_rooms

from interlock.agents.program import offer_check
from interlock.core.events import RunStarted
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline, Stage
from interlock.execution.context import Context
from interlock.execution.rehearsal import decode_rehearsal, encode_rehearsal
from interlock.pipelinefile import load_pipeline
from interlock.ports import Brief, Checkout

PIPELINE = """\
version: 1
name: own
inputs:
  colour: {{default: red}}
setup:
  - run: mkdir -p made && date +%N > made/one
    paths: [made]
agents:
  coder: {{use: {name}, model: {model}, endpoint: "{base}", secrets: [{key}]}}
stages:
  plan:
    run: echo "# Plan" > "$ARTIFACTS/plan.md"
    produces: {{plan: {{file: plan.md}}}}
    writes: []
  code:
    needs: [plan]
    agent: coder
    prompt: "Make it three. SCENARIO:work"
    writes: [a.txt]
    gates:
      - {{id: three, run: "grep -q three a.txt || {{ echo no three in a.txt; false; }}"}}
      - {{id: values, run: "test $INPUT_COLOUR = blue && test -s \\"$ARTIFACT_PLAN_PLAN\\" && test $TASK = Go"}}
      - {{id: hidden, run: "test -d \\"$HELD_OUT/held\\"", held_out: {held}}}
      - {{id: lone, run: "true", exclusive: [port]}}
      - {{id: secret, run: "test -n \\"$DEPLOY\\"", secrets: [DEPLOY]}}
"""


def page(tmp_path: Path, name: str = "command", base: str = "http://127.0.0.1:1") -> str:
    held = tmp_path / "held"
    (held / "held").mkdir(parents=True, exist_ok=True)
    (held / "held" / "file").write_text("x")
    if name == "command":
        text = PIPELINE.replace("coder: {{use: {name}, model: {model}, endpoint: \"{base}\", secrets: [{key}]}}\n",
                                "coder: {{use: command, run: [echo, hello]}}\n")  # fmt: skip
        return text.format(held=held)
    return PIPELINE.format(name=name, model=MODELS[name], base=base, key=KEYS[name], held=held)


# By program: what its model calls the tool, and how it is driven where it has no adapter of its own.
TOOLS = {
    "codex": ("mcp__interlock__check", ""),
    "claude": ("mcp__interlock__check", ""),
    "gemini": ("mcp_interlock_check", ""),
    "opencode": ("interlock_check", ""),
    "goose": ("interlock__check", ""),
    "gemini by acp": ("mcp_interlock_check", "run: [gemini, --acp, --skip-trust, -m, gemini-2.5-pro]"),
    "goose by acp": ("interlock__check", "run: [goose, acp, --with-builtin, developer]"),
}
SEEN = {"goose": ("GOOSE_PROVIDER", "GOOSE_MODEL", "GOOSE_MODE", "GOOSE_DISABLE_KEYRING", "OPENAI_HOST"),
        "gemini": ("GOOGLE_GEMINI_BASE_URL",)}  # fmt: skip


@pytest.mark.parametrize(
    ("program", "level"),
    [
        *((one, "none") for one in TOOLS),
        *(pytest.param(one, "full", marks=needs_rooms) for one in ("codex", "claude")),
        pytest.param("codex", "fs", marks=needs_fences),
    ],
)
def test_a_real_agent_asks_in_its_first_turn_mends_and_is_accepted_at_once(
    program: str, level: str, tmp_path: Path
) -> None:
    name, (called, run) = program.partition(" ")[0], TOOLS[program]
    path = os.pathsep.join((bin_of(name), os.environ["PATH"]))
    tool = Step("tool", "{}", called)
    steps = (tool, Step("edit", "three\n", "a.txt", "one\n"), tool, Step("say", "It is three."))
    keys = {KEYS[name]: "sk-test-key-0001", "DEPLOY": "s3cr3t"}
    with serving({"work": steps}) as model:
        text = page(tmp_path, name, model.base)
        if run:
            keys |= {
                "GOOSE_PROVIDER": "openai",
                "GOOSE_MODEL": "small",
                "GOOSE_MODE": "auto",
                "OPENAI_HOST": model.base,
            }
            keys |= {"GOOSE_DISABLE_KEYRING": "1", "GOOGLE_GEMINI_BASE_URL": model.base}
            own = f"coder: {{use: acp, {run}, env: [{', '.join(SEEN[name])}], secrets: [{KEYS[name]}]}}\n"
            text = re.sub("coder: .*\n", own, text)
        root = tmp_path / "it's here"  # programs split such paths
        laid_aside = dict.fromkeys(("AGENTS.md", "deep/AGENTS.md", "deep/GEMINI.md"), "Be careful.\n")
        world = new_world(root, {"a.txt": "one\n", "interlock.yaml": text, **laid_aside}, PATH=path, **keys)
        said = world.ask("run", "-t", "Go", "-i", "colour=blue", "--plain", INTERLOCK_SANDBOX=level)
        bodies = [body for _, body in model.requests if "SCENARIO:work" in body and number_in(body) is not None]
    assert said.code == 0, said.text
    assert len(stage_of(world.show(), "code")["attempts"]) == 1
    assert "call the tool `check`" in bodies[0]
    first, told = (body.replace("\\", "") for body in (bodies[1], bodies[-1]))
    assert "no three in a.txt" in first
    assert first.count("fix what did not pass") == 1  # it is sent as text and as data: a model reads one
    assert "end your work" in told
    assert str(tmp_path / "held") not in told
    assert "s3cr3t" not in told


def number_in(body: str) -> int | None:
    """The step for a request; None if the request offers no tools, such as one for a title."""
    request = read("/v1/chat/completions", json.loads(body))
    return number_of(request) if request.tools else None


def test_the_server_sees_no_key_and_reads_no_signs_in_what_it_is_given(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, tmp_path / "tree", tmp_path / "home", tmp_path / "tmp")
    env = {"PATH": os.environ["PATH"], "KEY": "sk-test-key-0001", "ODD": "a $HOME ${B} 'c' \"d\"\n$(e) %F% {env:G}"}
    brief = Brief("r", AttemptId("code", 1, 1), "", "", "", env, 60, 0, secrets=("sk-test-key-0001",), rehearsal="{}")
    check = offer_check(brief, checkout)
    assert check is not None
    script = Path(check.program)
    script.write_text(re.sub(r"exec (.* -i .*) \S+ -I -m .*", r"exec \1 env -0", script.read_text(), flags=re.DOTALL))
    seen = subprocess.run(
        [script], env={"KEY": "sk-test-key-0001", "HOME": "/"}, capture_output=True, check=True
    ).stdout
    told = dict(line.split("=", 1) for line in seen.decode().split("\0") if line)
    assert "KEY" not in told
    assert "HOME" not in told
    assert told["ODD"] == env["ODD"]


def rehearsed(tmp_path: Path) -> tuple[World, Path]:
    """A checkout of an agent, and what it was given to check its work."""
    world = new_world(tmp_path / "w", {"a.txt": "one\n", "interlock.yaml": page(tmp_path)})
    pipeline = load_pipeline(world.repository / "interlock.yaml", world.repository).pipeline
    started = RunStarted("r", "own", pipeline.digest, "Go", "0" * 40, "0" * 40, (), (("colour", "blue"),))
    file = tmp_path / "rehearsal.json"
    file.write_text(encode_rehearsal(Context("r", pipeline, started, 0.0), pipeline.stage("code")))
    folder = world.repository / ".interlock" / "artifacts" / "plan"
    folder.mkdir(parents=True)
    (folder / "plan.md").write_text("# Plan\n")
    world.git("add", "-f", ".interlock")
    world.git("commit", "-qm", "plan")
    return world, file


def test_the_server_offers_nothing_but_check(tmp_path: Path) -> None:
    world, file = rehearsed(tmp_path)
    (world.repository / "a.txt").write_text("two\n")
    (world.repository / "b.txt").write_text("beyond the scope\n")

    async def talk() -> tuple[list[str], dict[str, Any]]:
        argv = ["-I", "-m", "interlock", "mcp", "--inside", str(file)]
        started = StdioServerParameters(
            command=sys.executable, args=argv, env=world.environment(), cwd=str(world.repository)
        )
        with anyio.fail_after(120):
            async with Client(started) as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
                result = await client.call_tool("check", {})
                assert not result.is_error, result.content
                assert isinstance(result.structured_content, dict)
                return names, result.structured_content

    names, said = anyio.run(talk)
    assert names == ["check"]
    assert said["passed"] is False
    status = {one["gate"]: one["status"] for one in said["gates"]}
    assert status == {"scope": "failed", "three": "failed", "values": "passed"}
    assert said["asked_later"] == ["lone", "secret"]
    assert "b.txt" in json.dumps(said["gates"])


def test_what_is_no_rehearsal_is_refused(tmp_path: Path) -> None:
    world, file = rehearsed(tmp_path)
    file.write_text('{"stage": "code"}')
    said = world.ask("check", "--inside", str(file))
    assert said.code == 2
    assert "not the file that an agent got" in said.text


def test_without_gates_for_the_agent_there_is_nothing_to_ask() -> None:
    stage = Stage("code", agent="coder")
    started = RunStarted("r", "p", "", "Go", "0" * 40, "0" * 40, ())
    assert encode_rehearsal(Context("r", Pipeline("p", (stage,)), started, 0.0), stage) == ""


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    _, file = rehearsed(tmp_path)
    back = decode_rehearsal(file.read_text())
    assert (back.stage, back.task, back.inputs) == ("code", "Go", (("colour", "blue"),))
    assert [gate.id for gate in back.pipeline.stage("code").gates] == ["scope", "three", "values"]
    assert "hidden" not in file.read_text()
