"""Plans the files of `.interlock/` from what is found in the repository and on PATH, and writes them.

Rule: all or nothing: if a file would be replaced, nothing is written, unless it is forced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from interlock.conventions.programs import PROGRAMS, lacks
from interlock.conventions.programs import program as program_of
from interlock.core.pipeline import FOLDER
from interlock.pipelinefile import repo
from interlock.pipelinefile.repo import Part, Which, languages_of, parts_of
from interlock.pipelinefile.runners import python_files
from interlock.pipelinefile.scaffold.choices import (
    NO_TRIALS,
    GateTrials,
    choose_gates,
    covers_language,
    folders_of,
    special_tests,
    tests_of,
)
from interlock.pipelinefile.scaffold.helpers import helpers_of
from interlock.pipelinefile.scaffold.pages import (
    UNKNOWN,
    WORKERS,
    Content,
    Worker,
    chore_page,
    common_page,
    feature_page,
    plan_and_ship_page,
    quick_page,
)
from interlock.pipelinefile.scaffold.setups import recipes
from interlock.pipelinefile.scaffold.setups.python_needs import extras_of, groups_of
from interlock.ports import InfrastructureError, UsageError

TOOLS = (
    "python3", "uv", "poetry", "pipenv", "pytest", "ruff", "flake8", "mypy", "pyright", "node", "npm", "pnpm", "yarn",
    "bun", "go", "gotestsum", "golangci-lint", "cargo", "cargo-nextest", "cargo-clippy", "mvn", "gradle",
)  # fmt: skip
PROMPTS = ("plan.md", "tests.md", "code.md")


@dataclass(frozen=True, slots=True)
class Detected:
    """The names that were found, in the order of preference. `folders` are those of the parts below the root."""

    languages: tuple[str, ...]
    tools: tuple[str, ...]
    agents: tuple[str, ...]
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What `init` writes. `files` are paths relative to the root with their content; `notes` are lines for the user.
    `unfilled`: the user still has to name the program of the agent. `tests`: the gates that run tests."""

    files: tuple[tuple[str, str], ...]
    found: Detected
    notes: tuple[str, ...]
    unfilled: bool = False
    tests: frozenset[str] = frozenset()
    agents: tuple[str, ...] = ()  # the one that works, and the one that reviews


@dataclass(frozen=True, slots=True)
class InitOptions:
    """What `init` knows beside the folder. `agent`: the agent to use, found on PATH or not; without it the first found
    one, those that can log in before others. `reviewer`: the agent that reviews in `feature`, or `none`; without it
    the next one that can log in. `logins`: the agents that the user is logged in with. `tag`: the newest tag of the
    repository. `learned`: the results of the gates on the files as they are."""

    agent: str = ""
    reviewer: str = ""
    logins: frozenset[str] = frozenset()
    tag: str = ""
    learned: GateTrials = NO_TRIALS


def plan_files(root: Path, environ: Mapping[str, str], which: Which, known: InitOptions = InitOptions()) -> Scaffold:
    """Plan what `init` writes into the repository at `root`. `environ` shows which keys of agents are set, and `which`
    finds programs as shutil.which does. Writes nothing. Raises UsageError if the agent is unknown."""
    parts = parts_of(root, languages_of(root), lambda language: covers_language(root, language))
    found = detect(parts, which)
    gates, notes = choose_gates(parts, root, which)
    needed_recipes = tuple(
        each for language, folders in folders_of(parts) for each in recipes(language, root, folders, which, known.tag)
    )
    able = [name for name in found.agents if _is_ready(name, known, environ)]
    program = _program(known.agent or next(iter((*able, *found.agents)), UNKNOWN.name))
    reviewer = _reviewer(known.reviewer, [name for name in able if name != program.name])
    tests, protect = tests_of(parts, root), special_tests(parts, root)
    login = _uses_login(program, known, environ)
    helpers = helpers_of(parts, root, (*tests, *protect))
    names = tuple(
        dict.fromkeys(glob for part in parts if part.language == "python" for glob in python_files(root / part.folder))
    )
    globs = (tests, protect, helpers)
    content = Content(program, needed_recipes, globs, gates, found.languages, login, known.learned, names, reviewer)
    content = replace(content, reviewer_login=reviewer is not None and _uses_login(reviewer, known, environ))
    notes = (
        *notes,
        *([f"protected, since only tests use them: {', '.join(helpers)}"] if helpers else []),
        *(each.note for each in needed_recipes if each.note),
        *_gate_notes(content),
        *_agent_notes(content, found, environ, asked_none=known.reviewer == "none"),
    )
    chosen = tuple(one.name for one in (program, reviewer) if one is not None and one is not UNKNOWN)
    judges = frozenset(gate.id for gate in gates if gate.tests)
    return Scaffold(_files(content), found, notes, program is UNKNOWN, judges, chosen)


def detect(parts: Sequence[Part], which: Which) -> Detected:
    """The languages of the parts, and the tools and agents that `which` finds."""
    return Detected(
        languages=tuple(dict.fromkeys(part.language for part in parts)),
        tools=tuple(name for name in TOOLS if which(name)),
        agents=tuple(program.name for program in PROGRAMS if which(program.name)),
        folders=tuple(dict.fromkeys(part.folder for part in parts if part.folder)),
    )


def _reviewer(named: str, able: Sequence[str]) -> Worker | None:
    """The agent that reviews; None for none. Raises UsageError for an unknown name."""
    name = named or next(iter(able), "none")
    return None if name == "none" else _program(name)


def _uses_login(program: Worker, known: InitOptions, environ: Mapping[str, str]) -> bool:
    return program.name in known.logins and not any(environ.get(name) for name in program.secrets)


def _is_ready(name: str, known: InitOptions, environ: Mapping[str, str]) -> bool:
    """Whether the agent has what it needs to call a model: a login or key, and a model if it needs one named."""
    return not lacks(program_of(name), environ, login=name in known.logins)


def _program(name: str) -> Worker:
    for program in (*WORKERS, UNKNOWN):
        if program.name == name:
            return program
    known = ", ".join(program.name for program in WORKERS)
    raise UsageError(f"init does not know the agent {name}: choose one of {known}")


def _files(content: Content) -> tuple[tuple[str, str], ...]:
    prompts = resources.files("interlock.pipelinefile.scaffold").joinpath("prompts")
    return (
        (f"{FOLDER}/pipelines/feature.yaml", feature_page(content)),
        (f"{FOLDER}/pipelines/quick.yaml", quick_page(content)),
        (f"{FOLDER}/pipelines/chore.yaml", chore_page(content)),
        (f"{FOLDER}/common.yaml", common_page(content)),
        (f"{FOLDER}/plan-and-ship.yaml", plan_and_ship_page(content)),
        *((f"{FOLDER}/prompts/{name}", prompts.joinpath(name).read_text(encoding="utf-8")) for name in PROMPTS),
        (f"{FOLDER}/schema.json", _schema()),
    )


def _schema() -> str:
    import json

    from interlock.pipelinefile.export import json_schema  # late: pydantic is slow to import

    return json.dumps(json_schema(), indent=1) + "\n"


def _gate_notes(content: Content) -> tuple[str, ...]:
    if content.gates:
        return ()
    if not content.languages:
        return ("no language was recognised: a person judges until you add gates to the pipelines",)
    return ("no tests and no linter were found: a person judges until you add gates to the pipelines",)


def _agent_notes(content: Content, found: Detected, environ: Mapping[str, str], *, asked_none: bool) -> tuple[str, ...]:
    program = content.program
    if program is UNKNOWN:
        return (f"no coding agent was found on PATH: write the command that starts yours into {FOLDER}/common.yaml",)
    notes = []
    if others := [name for name in found.agents if name != program.name]:
        notes.append(
            f"the agent is {program.name}; {', '.join(others)} can be used instead (init --force --agent NAME)"
        )
    if content.reviewer is not None:
        notes.append(f"{content.reviewer.name} reviews the code of feature (init --force --reviewer NAME, or none)")
    elif others and not asked_none:
        notes.append(f"no agent reviews the code of feature: {others[0]} can (init --force --reviewer {others[0]})")
    for one, login in ((program, content.login), (content.reviewer, content.reviewer_login)):
        if one is not None and one is not UNKNOWN:
            notes += _missing_for(one.name, found, environ, login=login)
    notes.append(f"to test that it answers (costs a few tokens): interlock doctor --live {content.agent}")
    return tuple(notes)


def _missing_for(name: str, found: Detected, environ: Mapping[str, str], *, login: bool) -> Iterator[str]:
    """Lines on what the agent still needs before the first run."""
    if name not in found.agents:
        yield f"{name} is not on the PATH: install it before the first run"
    row = program_of(name)
    if missing := lacks(row, environ, login=login):
        without_key = row.login is not None and not lacks(row, environ, login=True)
        instead = f", or log in with {name} and write `login: true`" if without_key else ""
        yield f"{name} needs {', and '.join(missing)} to be set{instead}: each attempt has a home of its own"


def write(scaffold: Scaffold, root: Path, force: bool) -> tuple[Path, ...]:
    """Write the files below `root` and return the paths that were written; files that already have the same content are
    not touched. Raises UsageError and writes nothing if a file would be replaced without `force`, or a folder cannot be
    written to."""
    wanted = [(root / name, content) for name, content in scaffold.files if not _same(root / name, content)]
    there = [path.relative_to(root).as_posix() for path, _ in wanted if path.exists() or path.is_symlink()]
    if there and not force:
        raise UsageError(f"{', '.join(there)} would be replaced: move them away, or run `interlock init --force`")
    _require_folders(root, {path.parent for path, _ in wanted})
    for path, content in wanted:
        _put(path, content)
    return tuple(path for path, _ in wanted)


def _require_folders(root: Path, folders: set[Path]) -> None:
    """Raises UsageError if one of the folders is a symlink, which could lead out of the repository, or a file."""
    for path in sorted({each for folder in folders for each in (folder, *folder.parents) if root in each.parents}):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            what = "is a symlink" if path.is_symlink() else "is not a folder"
            raise UsageError(f"{path.relative_to(root)} {what}, and files must be written there: move it away first")


def _same(path: Path, content: str) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == content.encode()
    except OSError:
        return False


def _put(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()  # its target is not ours
        path.write_bytes(content.encode())
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be written: {error.strerror}", permanent=True) from error


_MODULE = re.compile(r"(?:No module named|import filter module) '?([A-Za-z]\w*)")
_PACKAGE = re.compile(r"Cannot find (?:module|package) '(@[\w.-]+/[\w.-]+|[\w-][\w.-]*)")
_PROGRAM = re.compile(r"line \d+: ([\w./-]+): command not found|sh: \d+: ([\w./-]+): not found")
_FIXTURE = re.compile(r"fixture '(\w+)' not found")
_FIXTURES = {
    "mocker": "pytest-mock",
    "benchmark": "pytest-benchmark",
    "httpbin": "pytest-httpbin",
    "snapshot": "syrupy",
}
MISSING_MAX = 5


def missing_dependencies(root: Path, output: str) -> Iterator[str]:
    """A line for each missing dependency in a gate's output, with what installs it if that is known."""
    for module in list(dict.fromkeys(_MODULE.findall(output)))[:MISSING_MAX]:
        yield f"the module {module} is missing: {_source_of(root, module)}"
    for package in list(dict.fromkeys(_PACKAGE.findall(output)))[:MISSING_MAX]:
        yield f"the package {package} is missing: add it to the devDependencies, or to setup in .interlock/common.yaml"
    for program in list(dict.fromkeys(filter(None, (a or b for a, b in _PROGRAM.findall(output)))))[:MISSING_MAX]:
        yield f"the program {program} is missing: install it, or add it to setup in .interlock/common.yaml"
    for fixture in list(dict.fromkeys(_FIXTURE.findall(output)))[:MISSING_MAX]:
        plugin = _FIXTURES.get(fixture, "the plugin of pytest that has it")
        yield f"the fixture {fixture} is missing: add {plugin} to setup in .interlock/common.yaml"


def _source_of(root: Path, module: str) -> str:
    named = re.compile(rf"\b{re.escape(module).replace('_', '[-_]')}\b", re.I)
    for kind, tables in (("extra", extras_of(root)), ("group", groups_of(root))):
        for name, content in tables.items():
            if named.search(content):
                return f"the {kind} {name} provides it: add it to setup in .interlock/common.yaml"
    files = [name for name in repo.files(root) if re.search(r"require[^/]*\.(txt|in)$", name)]
    for name in files[:100]:
        if named.search(repo.text(root, name)):
            return f"{name} provides it: add `-r {name}` to setup in .interlock/common.yaml"
    return "add the package that provides it to setup in .interlock/common.yaml"
