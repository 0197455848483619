"""The YAML files that `init` writes, as text: block style, at most 35 lines for a pipeline.

Rule: whatever is not a plain word is in double quotes, so that no value can be read as anything but text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from interlock.conventions.programs import PROGRAMS
from interlock.core.pipeline import Report
from interlock.pipelinefile.load import LINE
from interlock.pipelinefile.scaffold.choices import NO_TRIALS, Choice, GateTrial, GateTrials, comment_of, reports_tests
from interlock.pipelinefile.scaffold.setups import Recipe

WORKER = "coder"  # the agent of every stage: to change the program, one line changes
REVIEWER = "reviewer"
GATES_IN_BLOCK_MAX = 4  # more gates are written one per line, to keep the file short
# Where a stage may add new tests: the usual names. More names are protected.
TEST_FILES = {
    "python": ("**/tests/**", "**/test/**", "test_*.py", "*_test.py", "tests.py"),
    "node": ("**/test/**", "**/tests/**", "**/__tests__/**", "*.test.*", "*.spec.*"),
    "go": ("*_test.go", "**/testdata/**"),
    "rust": ("**/tests/**", "tests.rs", "*_test.rs", "*_tests.rs"),
    "java": ("**/src/test/**",),
}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_ ./-]*")
_WORDS_OF_YAML = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class Worker:
    """An agent of a pipeline: the name of its adapter; `run` is a shell line for `use: command`."""

    name: str
    secrets: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    run: str = ""


WORKERS = tuple(Worker(one.name, one.keys, one.env) for one in PROGRAMS)

# The placeholder until the user names an agent. Its line fails with a message; `validate` and `doctor` warn of it.
UNKNOWN = Worker("coder", run=LINE)


@dataclass(frozen=True, slots=True)
class Content:
    """What the files are made from."""

    program: Worker  # the agent that does the work
    recipes: tuple[Recipe, ...]
    globs: tuple[tuple[str, ...], ...]  # of the tests, of tests to protect by glob, of their helpers
    gates: tuple[Choice, ...]
    languages: tuple[str, ...]
    login: bool = False  # the agent is lent the user's own login
    learned: GateTrials = NO_TRIALS
    names: tuple[str, ...] = ()  # of test files, as the project itself configures them
    reviewer: Worker | None = None  # another program, which reviews the code of `feature`
    reviewer_login: bool = False

    @property
    def agent(self) -> str:
        return WORKER


def feature_page(content: Content) -> str:
    """The pipeline `feature`: tests that fail first, then code that makes them pass; plan and ship are included."""
    return _page(
        "# yaml-language-server: $schema=../schema.json",
        "version: 1",
        "name: feature",
        "include: [../common.yaml, ../plan-and-ship.yaml]  # plan before, ship after",
        *_reviewer(content),
        "stages:",
        "  tests:",
        "    needs: [plan]",
        f"    agent: {content.agent}",
        "    prompt: {file: ../prompts/tests.md}",
        *_test_scope(content),
        "    gates:",
        *_lint(content),
        *_new_tests_gate(content),
        "  code:",
        "    needs: [tests]",
        f"    agent: {content.agent}",
        "    prompt: {file: ../prompts/code.md}",
        "    gates:",
        *_gates(content),
        *_review(content),
        *_rules_to_tests(content),
    )


def quick_page(content: Content) -> str:
    """The pipeline `quick`: one stage, whose prompt is the task."""
    return _page(
        "# yaml-language-server: $schema=../schema.json",
        "version: 1",
        "name: quick",
        "include: [../common.yaml]",
        "stages:",
        "  code:",
        f"    agent: {content.agent}",
        *_new_tests(content),
        "    gates:",
        *_gates(content, _proving_gate(content)),
    )


def chore_page(content: Content) -> str:
    """The pipeline `chore`: one stage for work that needs no new test, such as documents, dependencies, refactoring."""
    return _page(
        "# yaml-language-server: $schema=../schema.json",
        "# For work that needs no new test: documents, dependencies, refactoring.",
        "version: 1",
        "name: chore",
        "include: [../common.yaml]",
        "stages:",
        "  code:",
        f"    agent: {content.agent}",
        "    gates:",
        *_gates(content, old=False),
    )


def plan_and_ship_page(content: Content) -> str:
    return _page(
        "# yaml-language-server: $schema=./schema.json",
        "# The first and the last stage of feature.",
        "version: 1",
        "stages:",
        "  plan:",
        f"    agent: {content.agent}",
        "    prompt:",
        "      file: prompts/plan.md",
        "    writes: []  # nothing but its artifact",
        "    produces:",
        "      plan:",
        "        file: plan.md",
        "        sections: [Goal, Approach, Out of scope]",
        "  ship:",
        "    needs: [code]",
        "    gates:",
        "      - id: merge",
        "        approve: Is this what was asked for?",
        "    on_reject:",
        "      - goto: code",
        "        max: 3",
    )


def common_page(content: Content) -> str:
    """The file that the pipelines share: agents, protected files, setup."""
    return _page(
        "# yaml-language-server: $schema=./schema.json",
        "# What the pipelines share. Any program can be an agent: `use: command` and `run:`, the brief on its stdin.",
        "version: 1",
        "agents:",
        *_agent(content.program, login=content.login),
        *_protect(content),
        *(["setup:"] if content.recipes else []),
        *(line for each in content.recipes for line in _setup(each)),
    )


def scalar(text: str) -> str:
    """`text` as a YAML scalar."""
    if _PLAIN.fullmatch(text) and text == text.strip() and text.lower() not in _WORDS_OF_YAML:
        return text
    return json.dumps(text)


def _test_scope(content: Content) -> list[str]:
    """The stage only adds tests, and leaves existing ones as they are."""
    globs = _added(content)
    return ["    writes: []", f"    adds: {_flow(globs)}  # new tests; existing tests stay"] if globs else []


def _added(content: Content) -> list[str]:
    known = (glob for language in content.languages for glob in TEST_FILES.get(language, ()))
    return list(dict.fromkeys((*known, *content.names)))


def _new_tests(content: Content) -> list[str]:
    """The tests that the stage may add if all gates of tests report each test: other gates then run the old ones."""
    if _proving_gate(content):
        return [f"    adds: {_flow(_added(content))}  # new tests; existing tests stay"]
    tests = [gate for gate in content.gates if gate.tests]
    if not all(map(reports_tests, tests)):
        return []
    pairs = [(gate.dir, glob) for gate in tests for glob in TEST_FILES.get(gate.use.partition(".")[0], ())]
    globs = dict.fromkeys(_inside(folder, glob) for folder, glob in pairs)
    why = "  # new tests; existing tests stay. Several gates judge, so none checks what new tests prove"
    return [f"  {why}", "    adds:", *_items("      ", globs)] if globs else []


def _inside(folder: str, glob: str) -> str:
    return f"{folder}/{glob}" if folder and "/" in glob else f"{folder}/**/{glob}" if folder else glob


def _proving_gate(content: Content) -> str:
    """The id of the only gate that reports each test; empty if there is none, or several."""
    able = [gate.id for gate in content.gates if reports_tests(gate)]
    return able[0] if len(able) == 1 and len(content.languages) == 1 and _added(content) else ""


def _new_tests_gate(content: Content) -> list[str]:
    """The gate of the stage `tests`: new tests must fail before the code exists, if one gate can tell; else a person
    reads them."""
    able = [gate for gate in content.gates if reports_tests(gate)]
    if len(able) == 1 and len(content.languages) == 1:
        where = [f"        dir: {scalar(able[0].dir)}"] if able[0].dir else []
        return ["      - id: red", f"        use: {able[0].use}", *where, "        expect: new_tests_fail"]
    return ["      - id: read", "        approve: Do these tests say what the task asks for?"]


def _checkers(content: Content, *members: str) -> list[Choice]:
    """Gates of the ready gates `members`, such as lint, that are not switched off."""
    able = [gate for gate in content.gates if not _is_off(gate, content.learned)]
    return [gate for gate in able if gate.use.rpartition(".")[2] in members]


def _lint(content: Content) -> list[str]:
    """Gates that lint the tests in the stage that writes them: the next stage may not change them."""
    return [f"      - {_flow_of(_pairs(gate))}" for gate in _checkers(content, "lint")]


def _flow_of(pairs: Iterable[tuple[str, str]]) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}"


def _rules_to_tests(content: Content) -> list[str]:
    """Rules for linters and type checkers: if all findings are in tests, the stage that writes tests corrects them."""
    globs = _added(content)
    checkers = _checkers(content, "lint", "types")
    rules = [gate for gate in checkers if gate.ready is not None and gate.ready.report is not Report.NONE]
    lines = [f"      - {{gate: {gate.id}, in: {_flow(globs)}, goto: tests, max: 2}}" for gate in rules if globs]
    return ["    on_reject:", *lines] if lines else []


def _gates(content: Content, prover: str = "", *, old: bool = True) -> list[str]:
    """The gates of the stage `code`, with comments on what their trial showed."""
    if not any(not _is_off(gate, content.learned) for gate in content.gates):
        return ["      - id: look", "        approve: Is this change right?", *_gates_off(content)]
    short = len(content.gates) > GATES_IN_BLOCK_MAX
    lines = []
    for gate in content.gates:
        if not _is_off(gate, content.learned):
            trial = content.learned.of(gate.id)
            gate = replace(gate, breaks=_effective_breaks(gate, trial))
            pairs = _pairs(gate, no_worse=trial is not None and bool(trial.failing), proves=gate.id == prover)
            flow = f"      - {_flow_of(pairs)}"
            (key, value), *rest = pairs
            block = [f"      - {key}: {value}", *(f"        {key}: {value}" for key, value in rest)]
            if old and reports_tests(gate):
                lines += [f"      - {_flow_of(_pairs(gate, old=True))}  # the existing tests, without the new ones"]
            lines += [f"      # {line}" for line in _comment(gate, trial)]
            lines += [flow] if short else block
            if gate.id == prover:
                lines[-1] += "  # new tests must fail without the change: for work that needs none, remove it"
    return [*lines, *_gates_off(content)]


def _gates_off(content: Content) -> list[str]:
    """Gates that fail on the files as they are and that no change could pass, as comments: the user can switch them
    on."""
    lines = []
    for gate in content.gates:
        if _is_off(gate, content.learned) and (trial := content.learned.of(gate.id)):
            why = f"      # turned off, since it fails on the code as it is: {trial.why}"
            lines += [why, f"      # - {_flow_of(_pairs(gate))}"]
    return lines


def _is_off(gate: Choice, learned: GateTrials) -> bool:
    trial = learned.of(gate.id)
    return trial is not None and trial.is_off(tests=gate.tests)


def _effective_breaks(gate: Choice, trial: GateTrial | None) -> tuple[str, ...]:
    """The files to break, without those that the command was seen to pass with."""
    unheeded = trial.unheeded if trial is not None else ()
    below = f"{gate.dir}/" if gate.dir else ""
    return tuple(path for path in gate.breaks if (path[1:] if path[0] == "/" else below + path) not in unheeded)


def _comment(gate: Choice, trial: GateTrial | None) -> list[str]:
    if trial is None:
        return []
    if not trial.heeds:
        return ["judged only by its exit code: it also passes with a broken test file"]
    if trial.failing:
        return comment_of(trial.failing)
    if trial.unheeded:
        return []
    return [f"it {'fails' if trial.can_run else 'cannot run'} on the code as it is: {trial.why}"]


def _pairs(gate: Choice, *, no_worse: bool = False, proves: bool = False, old: bool = False) -> list[tuple[str, str]]:
    """The keys of a gate. `old`: those of its second gate, which runs the tests of the base."""
    does = ("run", scalar(gate.run)) if gate.run else ("use", gate.use)
    pairs = [("id", f"{gate.id.removesuffix('test')}base_tests" if old else gate.id), does, ("dir", scalar(gate.dir))]
    pairs += [("baseline", "no_worse" if no_worse else ""), ("expect", "tests_prove_change" if proves else "")]
    pairs += [("tests", "base" if old else ""), ("breaks", _flow(gate.breaks) if gate.breaks else "")]
    return [(key, value) for key, value in pairs if value and value != '""']


def _agent(program: Worker, *, login: bool) -> list[str]:
    change = "`run`" if program.run else "`use`, and what it may see"
    return [
        f"  {WORKER}:  # works in every stage: to use another program, change {change}; keep the name",
        *_agent_keys(program, login=login),
    ]


def _reviewer(content: Content) -> list[str]:
    if content.reviewer is None:
        return []
    key = f"  {REVIEWER}:  # not the program that writes: it reads the change, and changes nothing"
    return ["agents:", key, *_agent_keys(content.reviewer, login=content.reviewer_login)]


def _review(content: Content) -> list[str]:
    """The review gate. It is asked after every gate above has passed; it can reject work and overrule no gate."""
    if content.reviewer is None:
        return []
    rubric = "Does it do what the task asks, all of it and nothing else? Is it as simple as it can be?"
    return [
        "      - id: review",
        "        review:",
        f"          by: [{REVIEWER}]",
        "          rubric:",
        f"            text: {rubric}",
    ]


def _agent_keys(program: Worker, *, login: bool) -> list[str]:
    return [
        *(["    use: command", *_command("    run", program.run)] if program.run else [f"    use: {program.name}"]),
        *(["    login: true  # your own, lent to one attempt at a time"] if login else []),
        *([f"    secrets: {_flow(program.secrets)}"] if program.secrets else []),
        *([f"    env: {_flow(program.env)}"] if program.env else []),
    ]


def _protect(content: Content) -> list[str]:
    first = "# Always protected: tests, and whatever controls tests, linters, builds and agents, by name at any"
    lines = [first, "# depth. Only a stage that `authors` such a file may change it."]
    _, protect, helpers = content.globs
    if not protect and not helpers:
        return lines
    why = ["  # What only tests import or open: remove what belongs to the product."] if helpers else []
    return [*lines, "protect:", *_items("  ", protect), *why, *_items("  ", helpers)]


def _setup(each: Recipe) -> list[str]:
    first, *rest = _command("run", each.run)
    lines = [f"  - {first}", *(f"    {line}" for line in rest)]
    for name, values in (("key", each.key), ("paths", each.paths)):
        lines += [f"    {name}: {_flow(values)}"] if values else []
    return [*lines, *(f"    {line}" for line in (_command("settle", each.settle) if each.settle else []))]


def _command(key: str, run: str) -> list[str]:
    """A command: on the line of its key if it is short, else as a block."""
    if "\n" not in run and len(run) < 90:
        return [f"{key}: {scalar(run)}"]
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    return [f"{key}: |", *(f"{indent}{line}" for line in run.split("\n"))]


def _items(indent: str, values: Iterable[str]) -> list[str]:
    return [f"{indent}- {scalar(value)}" for value in values]


def _flow(values: Iterable[str]) -> str:
    return f"[{', '.join(scalar(value) for value in values)}]"


def _page(*lines: str) -> str:
    return "\n".join(lines) + "\n"
