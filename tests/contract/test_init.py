"""What `init` writes: valid at once, small, never over what is there, and its gates green on real projects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.contract.sets.projects import GO, JAVA, NODE, PYTEST, RUST, UNITTEST, lay, run

from interlock.conventions.programs import PROGRAMS
from interlock.core.pipeline import Expect, Gate, GateKind
from interlock.pipelinefile import load_pipeline
from interlock.pipelinefile.scaffold import InitOptions, Scaffold, plan_files, write
from interlock.pipelinefile.sets import ResolvedGate
from interlock.ports import UsageError

PROJECTS = {"go": GO, "java": JAVA, "node": NODE, "python": PYTEST, "rust": RUST}
TOOLCHAINS = ("python3", "pytest", "node", "npm", "go", "gotestsum", "cargo", "cargo-nextest", "cargo-clippy", "mvn")


def named(*names: str) -> Callable[[str], str | None]:
    """A machine that has programs of these names."""
    return lambda name: f"/usr/bin/{name}" if name in names else None


def everything(name: str) -> str | None:
    return f"/usr/bin/{name}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def initialised(root: Path, files: dict[str, str], which: Callable[[str], str | None]) -> Scaffold:
    scaffold = plan_files(lay(root, files), {}, which)
    write(scaffold, root, force=False)
    return scaffold


def page(root: Path, name: str) -> Path:
    return root / ".interlock" / "pipelines" / f"{name}.yaml"


@pytest.mark.parametrize("language", PROJECTS)
def test_each_language_is_found_and_its_pipelines_are_valid(root: Path, language: str):
    scaffold = initialised(root, PROJECTS[language], named(*TOOLCHAINS, "claude"))
    assert scaffold.found.languages == (language,)
    assert scaffold.found.agents == ("claude",)
    for name in ("feature", "quick", "chore"):
        loaded = load_pipeline(page(root, name), root)
        assert loaded.findings == ()
        assert loaded.pipeline.name == name
        assert f"{language}.test" in {gate.used for gate in loaded.pipeline.stage("code").gates}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {**PYTEST, **NODE},
        {**PYTEST, **NODE, **GO, **RUST, **JAVA},
        {**PYTEST, "uv.lock": 'name = "pytest"\nname = "ruff"\n', "ruff.toml": "", "mypy.ini": "[mypy]\n"},
        {"pyproject.toml": "broken [", "package.json": "{", "Cargo.toml": "=", "pom.xml": "<"},
    ],
)
@pytest.mark.parametrize("which", [named(), everything])
def test_whatever_is_there_the_pipelines_are_valid_and_small(root: Path, files: dict[str, str], which):
    initialised(root, files, which)
    for name in ("feature", "quick", "chore"):
        said = [finding.message for finding in load_pipeline(page(root, name), root).findings]
        assert [message for message in said if "none of its agents is installed" not in message] == []
        assert bool(said) == (which("claude") is None)
        lines = page(root, name).read_text().splitlines()
        assert len(lines) <= 35
        assert lines[0] == "# yaml-language-server: $schema=../schema.json"


def test_the_schema_is_written_and_the_pages_fit_it(root: Path):
    import jsonschema

    initialised(root, PYTEST, everything)
    schema = json.loads((root / ".interlock/schema.json").read_text())
    for name in ("pipelines/feature", "pipelines/quick", "common", "plan-and-ship"):
        content = yaml.safe_load((root / f".interlock/{name}.yaml").read_text())
        schema["required"] = ["version"]  # an included file need not have stages
        jsonschema.validate(content, schema)


def test_feature_is_plan_tests_code_ship(root: Path):
    initialised(root, PYTEST, named("python3", "pytest", "codex"))
    pipeline = load_pipeline(page(root, "feature"), root).pipeline
    assert [stage.id for stage in pipeline.ordered()] == ["plan", "tests", "code", "ship"]
    assert pipeline.stage("plan").scope.writes == ()
    assert pipeline.stage("tests").gate("red").expect is Expect.NEW_TESTS_FAIL
    tests, code = pipeline.stage("tests").scope, pipeline.stage("code").scope
    assert (tests.writes, tests.authors, code.authors, code.adds) == ((), (), (), ())
    assert {"**/tests/**", "test_*.py"} < set(tests.adds)
    assert "**/tests/**" in pipeline.stage("code").scope.protect
    assert pipeline.stage("ship").gate("merge").kind == GateKind.APPROVE
    assert pipeline.agent("coder").use == "codex"


def test_quick_lets_one_agent_write_fix_and_tests_where_a_gate_can_tell(root: Path):
    initialised(root, PYTEST, named("python3", "pytest", "codex"))
    code = load_pipeline(page(root, "quick"), root).pipeline.stage("code")
    assert (code.gate("test").expect, "test_*.py" in code.scope.adds) == (Expect.TESTS_PROVE_CHANGE, True)
    assert "for work that needs none, remove it" in page(root, "quick").read_text()
    initialised(root / "go", GO, named("go"))
    code = load_pipeline(page(root / "go", "quick"), root / "go").pipeline.stage("code")
    assert (code.gate("test").expect, code.scope.adds) == (Expect.PASS, ())


def test_tests_of_names_that_pytest_is_told_are_found_and_may_be_added(root: Path):
    settings = '[tool.pytest.ini_options]\ntestpaths = ["checks"]\npython_files = ["check_*.py"]\n'
    initialised(root, {"pyproject.toml": settings, "checks/check_a.py": ""}, named("python3", "pytest"))
    code = load_pipeline(page(root, "quick"), root).pipeline.stage("code")
    assert (code.gate("test").used, "check_*.py" in code.scope.adds) == ("python.test", True)


def test_tests_are_linted_where_they_are_written_and_code_goes_back_for_them(root: Path):
    initialised(root, {**PYTEST, "requirements-dev.txt": "pytest\nruff\n", "ruff.toml": ""}, everything)
    pipeline = load_pipeline(page(root, "feature"), root).pipeline
    assert pipeline.stage("tests").gate("lint").used == "python.lint"
    (rule,) = pipeline.stage("code").on_reject
    assert (rule.gate, rule.goto, rule.within) == ("lint", "tests", pipeline.stage("tests").scope.adds)


def test_where_no_gate_tells_test_from_test_a_person_reads_the_tests(root: Path):
    initialised(root, GO, named("go"))
    stage = load_pipeline(page(root, "feature"), root).pipeline.stage("tests")
    assert stage.gate("read").kind == GateKind.APPROVE


def test_a_second_program_that_could_log_in_reviews_the_code_of_feature(root: Path):
    keys = {"OPENAI_API_KEY": "x"}
    scaffold = plan_files(
        lay(root, PYTEST), keys, named("python3", "pytest", "claude", "codex", "mini", "goose", "aider")
    )
    write(scaffold, root, force=False)
    assert scaffold.agents == ("codex", "aider")  # claude has no key, mini and goose have no model
    assert any("aider reviews the code of feature" in line for line in scaffold.notes)
    loaded = load_pipeline(page(root, "feature"), root)
    assert loaded.findings == ()
    assert (loaded.pipeline.agent("coder").use, loaded.pipeline.agent("reviewer").use) == ("codex", "aider")
    gate = loaded.pipeline.stage("code").gates[-1]
    assert (gate.id, gate.options.agents) == ("review", ("reviewer",))
    for name in ("quick", "chore"):
        assert load_pipeline(page(root, name), root).findings == ()


@pytest.mark.parametrize(
    ("programs", "known", "chosen"),
    [
        (("claude", "codex"), InitOptions(), ("claude",)),  # codex could not log in
        (("claude", "codex"), InitOptions(reviewer="codex"), ("claude", "codex")),
        (("claude", "codex"), InitOptions(logins=frozenset({"codex", "claude"})), ("claude", "codex")),
        (("claude", "codex"), InitOptions(reviewer="none", logins=frozenset({"codex", "claude"})), ("claude",)),
        (("claude", "codex"), InitOptions("codex", logins=frozenset({"codex"})), ("codex",)),  # itself is no second one
        ((), InitOptions(), ()),
    ],
)
def test_who_works_and_who_reviews(root: Path, programs: tuple[str, ...], known: InitOptions, chosen: tuple[str, ...]):
    scaffold = plan_files(lay(root, PYTEST), {}, named("python3", "pytest", *programs), known)
    assert scaffold.agents == chosen
    write(scaffold, root, force=False)
    assert (
        "review" in [gate.id for gate in load_pipeline(page(root, "feature"), root).pipeline.stage("code").gates]
    ) is (len(chosen) == 2)
    with pytest.raises(UsageError, match="codx"):
        plan_files(root, {}, everything, InitOptions(reviewer="codx"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_known_agent_is_driven_by_its_own_adapter(root: Path, program):
    initialised(root, PYTEST, named("python3", "pytest", program.name))
    loaded = load_pipeline(page(root, "quick"), root)
    assert loaded.findings == ()
    agent = loaded.pipeline.agent("coder")
    assert (agent.use, agent.command) == (program.name, None)
    assert set(agent.secrets) == set(program.keys)


def test_a_login_is_lent_where_no_key_is_set(root: Path):
    lay(root, PYTEST)
    logins = frozenset({"claude"})
    scaffold = plan_files(root, {}, named("claude"), InitOptions(logins=logins))
    assert not any("ANTHROPIC_API_KEY" in note for note in scaffold.notes)
    write(scaffold, root, force=False)
    assert dict(load_pipeline(page(root, "quick"), root).pipeline.agent("coder").options) == {"login": "true"}
    with_key = plan_files(root, {"ANTHROPIC_API_KEY": "x"}, named("claude"), InitOptions(logins=logins))
    assert "login: true" not in dict(with_key.files)[".interlock/common.yaml"]


def test_a_key_for_another_provider_than_its_models_makes_no_program_ready(root: Path):
    keys = {"ANTHROPIC_API_KEY": "x", "GOOSE_MODEL": "m"}
    scaffold = plan_files(lay(root, PYTEST), keys, named("claude", "goose"))
    assert scaffold.agents == ("claude",)
    assert any("goose needs OPENAI_API_KEY to be set" in note for note in plan_files(root, keys, named("goose")).notes)
    other = {**keys, "GOOSE_PROVIDER": "anthropic"}
    assert plan_files(root, other, named("claude", "goose")).agents == ("claude", "goose")


def test_without_an_agent_one_is_to_be_filled_in_and_all_say_so(root: Path):
    scaffold = initialised(root, PYTEST, named("python3", "pytest"))
    assert any("no coding agent was found" in note for note in scaffold.notes)
    loaded = load_pipeline(page(root, "quick"), root)
    assert loaded.pipeline.stage("code").agent == "coder"
    (said,) = loaded.findings
    assert (said.file, said.level) == (".interlock/common.yaml", "warning")
    assert "none of its agents is installed" in said.message
    done = subprocess.run(loaded.pipeline.agent("coder").command.words, capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert ".interlock/common.yaml" in done.stderr


def test_a_missing_key_is_noted_and_a_set_one_is_not(root: Path):
    lay(root, PYTEST)
    assert any("ANTHROPIC_API_KEY" in note for note in plan_files(root, {}, named("claude")).notes)
    notes = plan_files(root, {"ANTHROPIC_API_KEY": "x"}, named("claude")).notes
    assert not any("ANTHROPIC_API_KEY" in note for note in notes)


def test_a_program_that_is_taken_and_not_there_is_noted(root: Path):
    """Of the reviewer as of the one that works, and only where it is so."""
    lay(root, PYTEST)
    notes = plan_files(root, {}, named("claude"), InitOptions("gemini", "aider")).notes
    assert "gemini is not on the PATH: install it before the first run" in notes
    assert "aider is not on the PATH: install it before the first run" in notes
    assert any("aider needs ANTHROPIC_API_KEY or OPENAI_API_KEY to be set: each" in note for note in notes)
    assert not any("PATH" in note for note in plan_files(root, {}, named("claude")).notes)


def test_a_login_would_do_where_the_program_has_one(root: Path):
    lay(root, PYTEST)
    (note,) = [note for note in plan_files(root, {}, named("claude")).notes if "needs" in note]
    assert "to be set, or log in with claude and write `login: true`: each" in note
    (note,) = [note for note in plan_files(root, {}, named("gemini")).notes if "needs" in note]
    assert "login" not in note


def test_who_could_review_is_told_where_nobody_does(root: Path):
    lay(root, PYTEST)
    told = "no agent reviews the code of feature: codex can (init --force --reviewer codex)"
    assert told in plan_files(root, {}, named("claude", "codex")).notes
    assert not any("reviews" in note for note in plan_files(root, {}, named("claude")).notes)
    assert not any("reviews" in note for note in plan_files(root, {}, everything, InitOptions(reviewer="none")).notes)


def test_of_several_agents_the_chosen_one_is_taken(root: Path):
    lay(root, PYTEST)
    assert any("can be used instead" in note for note in plan_files(root, {}, everything).notes)
    write(plan_files(root, {}, everything, InitOptions("goose")), root, force=False)
    assert [agent.use for agent in load_pipeline(page(root, "quick"), root).pipeline.agents] == ["goose"]
    with pytest.raises(UsageError, match="choose one of claude"):
        plan_files(root, {}, everything, InitOptions("gosse"))


def test_planning_writes_nothing_and_is_the_same_every_time(root: Path):
    lay(root, PYTEST)
    before = sorted(root.rglob("*"))
    assert plan_files(root, {}, everything) == plan_files(root, {}, everything)
    assert sorted(root.rglob("*")) == before


def test_nothing_is_replaced_unless_forced(root: Path):
    scaffold = initialised(root, PYTEST, everything)
    assert write(scaffold, root, force=False) == ()
    page(root, "quick").write_text("mine\n")
    page(root, "feature").unlink()
    with pytest.raises(UsageError, match=r"quick\.yaml would be replaced"):
        write(scaffold, root, force=False)
    assert page(root, "quick").read_text() == "mine\n"
    assert not page(root, "feature").exists()
    assert write(scaffold, root, force=True) == (page(root, "feature"), page(root, "quick"))


def test_a_symlink_is_not_written_through(root: Path):
    theirs = root / "theirs.yaml"
    theirs.write_text("theirs\n")
    page(root, "quick").parent.mkdir(parents=True)
    page(root, "quick").symlink_to(theirs)
    scaffold = plan_files(lay(root, PYTEST), {}, everything)
    with pytest.raises(UsageError, match="would be replaced"):
        write(scaffold, root, force=False)
    write(scaffold, root, force=True)
    assert theirs.read_text() == "theirs\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({**PYTEST, "uv.lock": "pytest"}, "uv sync --frozen"),
        ({**PYTEST, "requirements.txt": "attrs\n"}, "python3 -m venv .venv"),
        ({**NODE, "package.json": '{"dependencies": {"a": "1"}}', "package-lock.json": "{}"}, "npm ci"),
        ({**NODE, "package.json": '{"dependencies": {"a": "1"}}', "pnpm-lock.yaml": ""}, "pnpm install"),
        ({**GO, "go.sum": "x"}, "go mod vendor"),
        ({**RUST, "Cargo.lock": 'source = "registry"\n'}, "cargo fetch --locked"),
        ({**PYTEST, "pyproject.toml": '[project]\nname = "x"\n'}, ".venv  # nothing is needed yet"),
        (PYTEST, None),
        (UNITTEST, None),
        (NODE, "mkdir -p node_modules  # nothing is needed yet"),
        (GO, None),
        (RUST, None),
        (JAVA, None),
    ],
)
def test_setup_is_written_only_where_packages_are_needed(root: Path, files: dict[str, str], expected: str | None):
    initialised(root, files, everything)
    setup = load_pipeline(page(root, "quick"), root).pipeline.setup
    assert len(setup) == (0 if expected is None else 1)
    assert expected is None or expected in setup[0].command.shell


def test_a_gate_whose_tool_is_not_there_is_left_out_and_noted(root: Path):
    scaffold = initialised(root, {**PYTEST, "ruff.toml": "", ".flake8": ""}, named("python3", "pytest"))
    gates = load_pipeline(page(root, "quick"), root).pipeline.stage("code").gates
    assert "python.lint" not in {gate.used for gate in gates}
    (note,) = [note for note in scaffold.notes if note.startswith("python.lint is left out: ruff is not installed")]
    assert note.endswith(": install it, then `interlock init --force` writes the gate")


def test_a_linter_or_type_checker_is_asked_where_setup_brings_it_or_path_has_it(root: Path):
    named_elsewhere = (
        '[project]\nname = "x"\n[dependency-groups]\ndev = ["pytest"]\ntypes = ["mypy"]\n[tool.mypy]\nstrict = true\n'
    )
    files = {
        **PYTEST,
        "pyproject.toml": named_elsewhere,
        ".pre-commit-config.yaml": "mypy",
        "uv.lock": 'name = "mypy"\n',
    }
    left_out = "python.types is left out: mypy is not among the packages that setup installs"
    for which in (named("python3", "pytest", "uv", "mypy"), named("python3", "pytest", "mypy")):
        (note,) = [note for note in plan_files(lay(root, files), {}, which).notes if left_out in note]
        assert "add it to the dependencies that your tests are installed with" in note
    synced = files | {"pyproject.toml": named_elsewhere + '[tool.uv]\ndefault-groups = ["dev", "types"]\n'}
    notes = plan_files(lay(root, synced), {}, named("python3", "uv")).notes
    assert "python.types: mypy, because it is configured" in notes
    bare = {"x.py": "", "test_x.py": "def test_x(): ...\n", "mypy.ini": "[mypy]\n"}  # no setup is made for it
    of_path = [plan_files(lay(root / "bare", bare), {}, named("pytest", *more)).notes for more in ((), ("mypy",))]
    assert [any("mypy, because it is configured" in note for note in notes) for notes in of_path] == [True, True]
    assert [any("mypy is not installed" in note for note in notes) for notes in of_path] == [True, False]


def test_another_program_is_one_line_and_every_stage_holds(root: Path):
    initialised(root, {**PYTEST, "ruff.toml": ""}, everything)
    common = root / ".interlock/common.yaml"
    text = common.read_text()
    assert "coder:  # works in every stage: to use another program, change `use`" in text
    common.write_text(text.replace("use: claude", "use: codex"))
    for name in ("feature", "quick", "chore"):
        loaded = load_pipeline(page(root, name), root)
        assert loaded.findings == ()
        workers = {stage.agent for stage in loaded.pipeline.stages if stage.agent}
        assert {loaded.pipeline.agent(worker).use for worker in workers} == {"codex"}


@pytest.mark.parametrize("files", [PYTEST, UNITTEST, NODE, {**PYTEST, "ruff.toml": "", "mypy.ini": "[mypy]\n"}])
def test_the_gates_are_green_at_once_in_a_fresh_clone(root: Path, tmp_path: Path, files: dict[str, str]):
    if "package.json" in files and shutil.which("node") is None:
        pytest.skip("Node is not installed")
    path = os.environ["PATH"]
    initialised(root, files, lambda name: shutil.which(name, path=path))
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-qm", "all"],
        ["clone", "-q", ".", str(tmp_path / "clone")],
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    gates = load_pipeline(page(root, "quick"), root).pipeline.stage("code").gates
    hard = [gate for gate in gates if gate.kind == GateKind.RUN]
    assert hard
    for gate in hard:
        ran = run(_ready(gate), tmp_path / "clone", tmp_path / "tmp")
        assert ran.code == 0, ran.output


def _ready(gate: Gate) -> ResolvedGate:
    assert gate.command is not None
    return ResolvedGate(gate.command.shell, gate.report, gate.network, "")
