"""Whole pipelines, as they are meant to be written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from interlock.conventions.judge_files import matches_in_any_case
from interlock.core.pipeline import CommandLine, Expect, Gate, GateKind, Pipeline, Report, Rule, Stage, When
from interlock.core.rooms import RoomLimits, RoomSpec
from interlock.pipelinefile import (
    InvalidPipeline,
    Level,
    Loaded,
    codec,
    decode_pipeline,
    encode_pipeline,
    json_schema,
    load_pipeline,
    require_runnable,
    resolved_yaml,
)
from interlock.ports import InfrastructureError, UsageError, sandbox_of

FULL = """\
# yaml-language-server: $schema=./interlock.schema.json
version: 1
name: feature
include: [.interlock/agents.yaml]
inputs:
  ticket: {type: string, required: false}
  retries: {type: integer, default: 3}
x-own: &commands [CI, TERM]
defaults: {attempts: 4, timeout: 30m, idle_timeout: 5m}
limits: {attempts: 40, tokens: 2000000, cost_usd: 20, wall: 4h}
protect: [tests/acceptance/**, pyproject.toml]
setup:
  - run: uv sync --frozen
    key: [uv.lock]
    paths: [.venv]
    settle: [uv, sync, --offline]
carry: [data.bin]
sandbox: {read: [/srv/words/, ~/data], nested: true, memory: 8 GB, processes: 2000, disk: 1.5GB, files: 500000}
stages:
  brief:
    run: cat docs/brief.txt > "$ARTIFACTS/brief.txt"
    produces:
      text: {file: brief.txt}
  plan:
    needs: [brief]
    agent: planner
    prompt: {file: prompts/plan.md}
    writes: []
    produces:
      plan: {file: plan.md, sections: [Goal, Approach]}
      size: {file: size.json, schema: {file: schemas/size.json}}
  code:
    needs: [plan]
    agent: coder
    dir: web
    env: *commands
    prompt:
      text: |
        Task: {{ task }}
        {{ artifacts['plan/plan'] }} {{ inputs.ticket }} {{ feedback }}
    writes: [src/**, '*.css', /docs/**]
    when: {artifact: plan/size, at: /size, equals: large}
    timeout: 90s
    gates:
      - id: lint
        run: ruff check --output-format sarif -o "$REPORT" .
        report: sarif
        dir: app
        network: [pypi.example.org, "localhost:80"]
      - id: test
        run: [pytest, "--junitxml", "$REPORT"]
        report: junit
        expect: new_tests_fail
        cache: none
        x-why: it is red at first
    on_reject:
      - {gate: test, goto: plan, max: 2}
      - {after: 2, agent: strong}
  ship:
    needs: [code]
    gates:
      - id: merge
        approve: Merge this?
    on_reject:
      - {goto: code}
deliver: {branch: "feature/{{ inputs.ticket }}-{{ run.id }}", series: true}
"""
AGENTS = """\
version: 1
agents:
  planner: {use: command, run: [./plan], model: small, fallback: [coder]}
  coder: {use: command, run: ./code, secrets: [KEY], network: [api.example.org]}
  strong: {use: scripted, seed: 7, rate: 0.2, network: false}
protect: [conftest.py]
"""
SIZE = '{"type": "object", "properties": {"size": {"enum": ["small", "large"]}}}'
SMALL = "version: 1\nstages:\n  code:\n    run: make\n    gates:\n      - {id: test, run: make test}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "interlock.yaml", FULL)
    write(tmp_path, ".interlock/agents.yaml", AGENTS)
    write(tmp_path, "prompts/plan.md", "Plan: {{ artifacts['brief/text'] }}")
    write(tmp_path, "schemas/size.json", SIZE)
    write(tmp_path, "data.bin", "x")
    return tmp_path


def write(root: Path, path: str, content: str) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)
    return target


def load(root: Path) -> Loaded:
    return load_pipeline(root / "interlock.yaml", root)


def load_text(root: Path, content: str) -> Loaded:
    return load_pipeline(write(root, "interlock.yaml", content), root)


def test_a_full_pipeline_has_nothing_to_complain_about(root: Path) -> None:
    loaded = load(root)
    of_machine = "sandbox: read: there is no "  # what it may have or not
    assert [one for one in loaded.findings if not one.message.startswith(of_machine)] == []
    assert loaded.pipeline.name == "feature"
    assert [stage.id for stage in loaded.pipeline.stages] == ["brief", "plan", "code", "ship"]
    require_runnable(loaded)


def test_defaults_are_filled_in(root: Path) -> None:
    pipeline = load(root).pipeline
    plan, code = pipeline.stage("plan"), pipeline.stage("code")
    assert (plan.attempts_max, plan.timeout_s, plan.idle_timeout_s) == (4, 1800, 300)
    assert (code.timeout_s, code.idle_timeout_s) == (90, 90), "an inherited idle timeout never exceeds the timeout"
    assert pipeline.limits.wall_s == 4 * 3600
    assert pipeline.setup[0].settle == CommandLine(argv=("uv", "sync", "--offline"))
    assert pipeline.inputs[1].default == "3"
    assert not pipeline.inputs[1].required


def test_built_in_gates_come_first(root: Path) -> None:
    pipeline = load(root).pipeline
    assert [gate.id for gate in pipeline.stage("plan").gates] == ["scope", "produces"]
    assert [gate.id for gate in pipeline.stage("code").gates] == ["scope", "lint", "test"]
    assert [gate.kind for gate in pipeline.stage("ship").gates] == [GateKind.SCOPE, GateKind.APPROVE]


def test_a_gate_is_read_in_full(root: Path) -> None:
    gate = load(root).pipeline.stage("code").gate("test")
    expected = Gate(
        id="test",
        kind=GateKind.RUN,
        command=CommandLine(argv=("pytest", "--junitxml", "$REPORT")),
        report=Report.JUNIT,
        expect=Expect.NEW_TESTS_FAIL,
        dir="web",
        cached=False,
        canary="pytest",
    )
    assert replace(gate, digest="") == expected


def test_a_folder_is_joined_into_globs_and_gates(root: Path) -> None:
    code = load(root).pipeline.stage("code")
    assert code.scope.writes == ("/web/src/**", "/web/**/*.css", "/docs/**")
    assert code.gate("lint").dir == "web/app"


def test_what_the_sandbox_allows(root: Path) -> None:
    pipeline = load(root).pipeline
    assert pipeline.sandbox == RoomSpec(
        ("/srv/words", "~/data"),
        nested=True,
        limits=RoomLimits(memory_bytes=8 * 10**9, processes=2000, disk_bytes=1_500_000_000, files=500_000),
    )
    made = sandbox_of(pipeline, "full")
    assert (made.level, made.read, made.nested) == ("full", ("/srv/words", "~/data"), True)


def test_a_network_is_all_none_or_some_hosts(root: Path) -> None:
    pipeline = load(root).pipeline
    assert {agent.name: agent.hosts for agent in pipeline.agents} == {
        "planner": None, "coder": ("api.example.org",), "strong": (),
    }  # fmt: skip
    gates = {gate.id: (gate.network, gate.hosts) for gate in pipeline.stage("code").gates}
    assert gates == {"scope": (False, ()), "lint": (False, ("pypi.example.org", "localhost:80")), "test": (False, ())}


@pytest.mark.parametrize(
    ("said", "hosts"), [("", None), ("true", None), ("false", ()), ("[a.example]", ("a.example",))]
)
def test_scripts_and_setup_have_the_network_unless_it_is_named(
    said: str, hosts: tuple[str, ...] | None, tmp_path: Path
) -> None:
    network = f"network: {said}" if said else ""
    page = SMALL.replace("run: make\n", f"run: make\n    {network}\n", 1)
    setup = f"setup:\n  - {{run: make deps, key: [Makefile]{', ' if said else ''}{network}}}\n"
    pipeline = load_text(tmp_path, page + setup).pipeline
    assert pipeline.stage("code").hosts == pipeline.setup[0].hosts == hosts


def test_an_agent_whose_key_stays_outside_has_no_other_network(tmp_path: Path) -> None:
    agents = "agents:\n  a: {use: codex, key: proxied, secrets: [OPENAI_API_KEY]}\n"
    [agent] = load_text(tmp_path, SMALL.replace("run: make\n", "agent: a\n", 1) + agents).pipeline.agents
    assert agent.hosts == ()


def test_rules_and_conditions(root: Path) -> None:
    code = load(root).pipeline.stage("code")
    assert code.on_reject == (Rule(gate="test", goto="plan", max=2), Rule(after=2, agent="strong"))
    assert code.when == When("plan/size", "/size", '"large"')
    assert code.env == ("CI", "TERM")


def test_included_definitions_merge(root: Path) -> None:
    pipeline = load(root).pipeline
    assert [agent.name for agent in pipeline.agents] == ["planner", "coder", "strong"]
    assert pipeline.agent("strong").options == (("rate", "0.2"), ("seed", "7"))
    protect = pipeline.stage("code").scope.protect
    assert protect.index("conftest.py") < protect.index("pyproject.toml"), "what is included comes first"


def test_what_a_run_is_judged_by_is_protected(root: Path) -> None:
    protect = load(root).pipeline.stage("code").scope.protect
    assert {".interlock/**", "/interlock.yaml", ".gitattributes", "/.github/workflows/**"} <= set(protect)
    assert {"/prompts/plan.md", "/schemas/size.json"} <= set(protect)


def test_a_path_is_relative_to_the_file_that_names_it(root: Path) -> None:
    write(
        root,
        ".interlock/pipelines/quick.yaml",
        SMALL.replace("run: make\n", "agent: a\n    prompt: {file: p/x.md}\n", 1),
    )
    write(root, ".interlock/pipelines/p/x.md", "Hello there")
    file = root / ".interlock/pipelines/quick.yaml"
    file.write_text(file.read_text() + "agents:\n  a: {use: command, run: ./a}\n")
    pipeline = load_pipeline(file, root).pipeline
    assert pipeline.name == "quick"
    assert pipeline.stage("code").prompt.origin == ".interlock/pipelines/p/x.md"


def test_the_name_that_is_given_wins(root: Path) -> None:
    assert load_pipeline(root / "interlock.yaml", root, name="other").pipeline.name == "other"


@pytest.mark.parametrize(
    ("path", "old", "new", "changed"),
    [
        ("prompts/plan.md", "Plan", "Think", {"plan"}),
        ("schemas/size.json", "small", "tiny", {"plan"}),
        ("interlock.yaml", "ruff check", "ruff check --fix", {"code"}),
        ("interlock.yaml", "# yaml", "# another comment: yaml", set()),
        ("interlock.yaml", "x-why: it is red", "x-why: it is green", set()),
    ],
)
def test_digests_follow_content(root: Path, path: str, old: str, new: str, changed: set[str]) -> None:
    before = load(root).pipeline
    write(root, path, (root / path).read_text().replace(old, new, 1))
    after = load(root).pipeline
    assert {one.id for one, two in zip(before.stages, after.stages, strict=True) if one.digest != two.digest} == changed
    assert (before.digest != after.digest) == bool(changed)


def test_a_recorded_pipeline_is_the_same_pipeline(root: Path) -> None:
    pipeline = load(root).pipeline
    text = encode_pipeline(pipeline)
    assert decode_pipeline(text) == pipeline
    assert decode_pipeline(text).stage("code") == pipeline.stage("code")
    assert encode_pipeline(decode_pipeline(text)) == text


def test_runs_of_one_pipeline_share_its_stages_and_not_what_they_look_up(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = encode_pipeline(load(root).pipeline)
    first = decode_pipeline(text)
    monkeypatch.setattr(codec.json, "loads", lambda _: pytest.fail("it was read once more"))
    second = decode_pipeline(text)
    assert first.ordered() == second.ordered() == first.ordered()
    assert first.stage("code") is second.stage("code")
    assert first._by_id is not second._by_id
    assert first._order is not second._order


def test_bytes_that_are_no_text_survive_recording() -> None:
    pipeline = Pipeline("odd", (Stage("code", dir="caf\udce9"),))
    assert decode_pipeline(encode_pipeline(pipeline)) == pipeline


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 1}', '{"format": 2, "pipeline": {}}', '{"format": 1, "pipeline": []}']
)
def test_what_is_no_recorded_pipeline_is_refused(text: str) -> None:
    with pytest.raises(InfrastructureError, match="pipeline"):
        decode_pipeline(text)


def test_a_recorded_value_of_another_type_is_refused(root: Path) -> None:
    tree = json.loads(encode_pipeline(load(root).pipeline))
    tree["pipeline"]["stages"][0]["timeout_s"] = "soon"
    with pytest.raises(InfrastructureError, match="recorded pipeline cannot be read"):
        decode_pipeline(json.dumps(tree))


def test_the_resolved_pipeline_means_the_same(root: Path) -> None:
    loaded = load(root)
    again = load_text(root, resolved_yaml(loaded)).pipeline
    for stage, other in zip(loaded.pipeline.stages, again.stages, strict=True):
        assert without_origins(stage) == without_origins(other)
    assert again.agents == loaded.pipeline.agents
    assert again.inputs == loaded.pipeline.inputs
    assert again.sandbox == loaded.pipeline.sandbox
    assert [agent.hosts for agent in again.agents] == [agent.hosts for agent in loaded.pipeline.agents]
    assert (again.setup, again.limits, again.deliver) == (
        loaded.pipeline.setup,
        loaded.pipeline.limits,
        loaded.pipeline.deliver,
    )


def test_an_example_of_an_environment_file_is_no_judge_but_where_all_is(tmp_path: Path) -> None:
    page = SMALL.replace("run: make\n", "run: make\n    writes: [.env.example, web/.env.production.sample]\n", 1)
    protect = load_text(tmp_path, page).pipeline.stages[0].scope.protect
    for path in (".env.example", "web/.env.local.template"):
        assert not matches_in_any_case(protect, path)
    for path in (
        ".interlock/.env.example",
        "tests/.env.example",
        ".husky/.env.example",
        ".claude/.env.example",
        ".Env",
    ):
        assert matches_in_any_case(protect, path)
    for name in (".env", ".env.production", ".mcp.json", ".aider.conf.yml"):
        with pytest.raises(InvalidPipeline, match="can never be written: it is protected always"):
            load_text(tmp_path, page.replace(".env.example", name))


def test_a_stage_says_which_workers_it_needs(tmp_path: Path) -> None:
    page = SMALL.replace("run: make\n", "run: make\n    labels: [gpu, big]\n    referee: elsewhere\n", 1)
    loaded = load_text(tmp_path, page)
    for stage in (loaded.pipeline.stages[0], load_text(tmp_path, resolved_yaml(loaded)).pipeline.stages[0]):
        assert (stage.labels, stage.judged_elsewhere) == (("gpu", "big"), True)
    same = load_text(tmp_path, SMALL.replace("run: make\n", "run: make\n    referee: anywhere\n", 1)).pipeline
    assert same == load_text(tmp_path, SMALL).pipeline
    with pytest.raises(InvalidPipeline, match='referee is the text "cloud": known: anywhere, elsewhere'):
        load_text(tmp_path, page.replace("elsewhere", "cloud"))
    with pytest.raises(InvalidPipeline, match="Big is not a valid name"):
        load_text(tmp_path, page.replace("big", "Big"))


def test_instructions_are_globs_or_none(tmp_path: Path) -> None:
    agents = "agents:\n  calm: {use: command, run: x, instructions: [docs/*.md]}\n  own: {use: command, run: x}\n"
    page = agents + SMALL.replace("run: make\n", "agent: calm\n    dir: web\n    instructions: [A.md, /B.md]\n", 1)
    loaded = load_text(tmp_path, page)
    assert [agent.instructions for agent in loaded.pipeline.agents] == [("docs/*.md",), None]
    assert loaded.pipeline.stages[0].instructions == ("/web/**/A.md", "/B.md")
    assert load_text(tmp_path, page.replace("[A.md, /B.md]", "none")).pipeline.stages[0].instructions == ()
    for same in (page, page.replace("[A.md, /B.md]", "none")):
        once = load_text(tmp_path, same)
        again = load_text(tmp_path, resolved_yaml(once)).pipeline
        assert again.agents == once.pipeline.agents
        assert again.stages[0].instructions == once.pipeline.stages[0].instructions
    [found] = load_text(tmp_path, SMALL.replace("run: make\n", "run: make\n    instructions: none\n", 1)).findings
    assert "code has no agent that reads instructions" in str(found)
    with pytest.raises(InvalidPipeline, match=r"x\.md is neither none nor a list: write none, or a list of patterns"):
        load_text(tmp_path, page.replace("[A.md, /B.md]", "x.md"))


def without_origins(stage: Stage) -> Stage:
    """Texts stand in place in the resolved file, and so are no files of their own."""
    produces = tuple(
        replace(artifact, schema=replace(artifact.schema, origin="") if artifact.schema else None)
        for artifact in stage.produces
    )
    scope = replace(stage.scope, protect=tuple(sorted(stage.scope.protect)))
    gates = tuple(replace(gate, used="", digest="") for gate in stage.gates)
    return replace(
        stage, prompt=replace(stage.prompt, origin=""), produces=produces, scope=scope, gates=gates, digest=""
    )


def test_a_ready_gate_is_shown_with_its_command(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[project]\nname = 'x'\n")
    write(tmp_path, "tests/test_x.py", "def test_x(): pass\n")
    loaded = load_text(tmp_path, SMALL.replace("run: make test", "use: python.test"))
    gate = loaded.pipeline.stage("code").gate("test")
    assert gate.used == "python.test"
    assert gate.command is not None
    assert "x-use: python.test" in resolved_yaml(loaded)
    assert yaml.safe_load(resolved_yaml(loaded))["stages"]["code"]["gates"][0]["run"] == gate.command.shell


def test_the_schema_fits_what_is_valid(root: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(FULL), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(FULL.replace("needs:", "need:")), schema)


def test_what_comes_later_is_valid_and_not_run(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, SMALL.replace("    run: make\n", "    run: make\n    matrix: {os: [linux]}\n", 1))
    assert [finding.level for finding in loaded.findings] == [Level.LATER]
    with pytest.raises(UsageError, match=r"interlock\.yaml:\d+:\d+: .*is not supported yet"):
        require_runnable(loaded)


def test_the_error_reads_as_lines_and_leaves_warnings_out(tmp_path: Path) -> None:
    with pytest.raises(InvalidPipeline) as caught:
        load_text(tmp_path, SMALL + "  more:\n    needs: [code]\n    run: make\ndeliver: {brnch: x}\n")
    assert str(caught.value) == "interlock.yaml:10:11: unknown key brnch: did you mean branch?"
    assert [mistake.level for mistake in caught.value.mistakes] == [Level.WARNING, Level.ERROR]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("sandbox: {cpu: 2}\n", "disk, file_size, files, memory, nested, processes, read"),
        ("deliver: {pull_request: {zzz: 2}}\n", "base, draft, remote"),
    ],
)
def test_an_unknown_key_is_told_the_keys_of_its_own_mapping(text: str, known: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidPipeline, match=f"unknown key (cpu|zzz): known: {known}$"):
        load_text(tmp_path, SMALL + text)


def test_a_pipeline_outside_of_the_repository_is_refused(root: Path, tmp_path: Path) -> None:
    inner = root / "inner"
    inner.mkdir()
    with pytest.raises(InvalidPipeline, match="outside the repository"):
        load_pipeline(root / "interlock.yaml", inner)


def test_a_link_out_of_the_repository_is_refused(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = write(tmp_path_factory.mktemp("outside"), "secret.md", "secret")
    (root / "prompts/plan.md").unlink()
    (root / "prompts/plan.md").symlink_to(secret)
    with pytest.raises(InvalidPipeline, match="leads out of the repository"):
        load(root)


def test_a_missing_pipeline_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidPipeline, match=r"there is no file interlock\.yaml"):
        load(tmp_path)
