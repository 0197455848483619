"""Ready gates: what `use: python.test` stands for. The table `GATES` of each module here has
those of its languages.

Rule: the command of a ready gate is decided when the pipeline is loaded, from the user's folder, and never from a
candidate. If its tool is missing, the command ends with exit code 127 and names the tool: it never passes without it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module, resources
from pathlib import Path
from types import MappingProxyType

from interlock.core.pipeline import Gate, Report

_PROGRAMS = "interlock.pipelinefile.sets.programs"


@dataclass(frozen=True, slots=True)
class ResolvedGate:
    """A ready gate, resolved for a folder. `run` is for `bash -euo pipefail -c`; `why` says why it was chosen.

    `applies` is False if nothing in the folder asks for this gate; `tools` are the programs that the command needs on
    PATH before any setup: with these two `init` decides what to write. `canary` is the recipe of the test that must
    fail.
    """

    run: str
    report: Report
    network: bool
    why: str
    applies: bool = True
    tools: tuple[str, ...] = ()
    canary: str = ""


def by_exit_code(run: str, why: str, *tools: str, applies: bool = True, network: bool = False) -> ResolvedGate:
    """A gate that is judged by its exit code."""
    return ResolvedGate(run, Report.NONE, network, why, applies, tools)


def by_report(
    report: Report, run: str, why: str, *tools: str, applies: bool = True, network: bool = False
) -> ResolvedGate:
    """A gate that writes a report to $REPORT."""
    return ResolvedGate(run, report, network, why, applies, tools)


def cannot_run(gate: str, what_to_do: str) -> ResolvedGate:
    """A gate that cannot run in this folder: its command says why and ends with exit code 127."""
    return by_exit_code(exit_127(f"{gate}: {what_to_do}"), what_to_do, applies=False)


def require(gate: str, program: str, what_to_do: str) -> str:
    """A shell line that ends the command with exit code 127 if `program` (a name or a path) is missing."""
    otherwise = exit_127(f"{gate}: {program} is missing: {what_to_do}")
    return f"command -v {shlex.quote(program)} >/dev/null || {{ {otherwise}; }}"


def exit_127(message: str) -> str:
    return f"echo {shlex.quote(message)} >&2; exit 127"


def inline_program(name: str) -> str:
    """The source of a program in `programs`, quoted for `python3 -I -B -c`: in the command, a candidate cannot change
    it. The source of modules there that it imports comes before it."""
    importing = re.compile(rf"^from {re.escape(_PROGRAMS)}\.(\w+) import .*\n", re.M)
    source = _source(name)
    needed = [_source(f"{module}.py") for module in importing.findall(source)]
    return shlex.quote("\n\n".join((*needed, importing.sub("", source))).strip())


def write_program(name: str, target: str) -> str:
    """A shell line that writes a program in `programs` to `target`, in which the shell expands variables."""
    return f"printf %s {shlex.quote(_source(name))} > {target}"


def _source(name: str) -> str:
    return resources.files(_PROGRAMS).joinpath(name).read_text(encoding="utf-8")


def lines(*phrases: str) -> str:
    return "\n".join(phrase for phrase in phrases if phrase)


_MODULES = MappingProxyType(
    {"go": "compiled", "java": "compiled", "node": "node", "python": "python", "rust": "compiled"}
)
LANGUAGES: tuple[str, ...] = tuple(_MODULES)
MEMBERS: tuple[str, ...] = ("build", "lint", "types", "test")
NAMES: tuple[str, ...] = tuple(f"{language}.{member}" for language in LANGUAGES for member in MEMBERS)


def resolve(name: str, folder: Path) -> ResolvedGate:
    """Resolve `name`, such as python.test, for `folder`. Only reads.

    Raises LookupError with the known names if there is no such ready gate.
    """
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise LookupError(f"there is no ready gate {name!r}{guess} (known: {', '.join(NAMES)})")
    module = import_module(f"{__name__}.{_MODULES[name.partition('.')[0]]}")  # lazy: a pipeline needs one language
    gates: Mapping[str, Callable[[Path], ResolvedGate]] = module.GATES
    return gates[name](folder)


_TOOL = re.compile(r"^(?:\S*/)?(mvnw?|gradlew?|go|gotestsum)\b.*$", re.MULTILINE)
_REPORTING = re.compile(
    r"""\s*(--output-format sarif|--(output-file|junitxml|output\.sarif\.path)[= ]"?\$\{?REPORT\}?"?"""
    r"""|-f \S+ -o "\$REPORT")"""
)
_HANDLED = re.compile(r" \|\| code=\$\?$")
_SOURCES = re.compile(r'PYTHONPATH="\$PWD/(\S+?)\$\{')
_DISCOVERY = re.compile(r'"\$REPORT" (\S+) (\S+)$')
_TOOLCHAINS = re.compile(r'^export RUSTUP_HOME="\$\{RUSTUP_HOME:-(.+)\}"$', re.MULTILINE)
_NODE = re.compile(
    r"^(?!command )(?:.* )?(?:node_modules/\.bin/(jest|vitest|mocha)|node(?= --test-reporter)) (.*)$", re.MULTILINE
)
_NODE_STEP = re.compile(r"^sh -c ", re.MULTILINE)
_NODE_OWN = re.compile(r"^export (?!PATH=|INTERLOCK_)(.+)$", re.MULTILINE)
_NODE_REPORTING = re.compile(
    r'--require "\$\{TMPDIR\S*|--reporter xunit|--reporter-option \S+|--reporters?=\S+|--outputFile\.junit=\S+'
    r"|--test-reporter(-destination)?=\S+|--ci\b|--forceExit|\$\{known\S*"
)


def short_command(gate: Gate) -> str:
    """The gate's command as a person or an agent types it, in one line; empty if there is no short form."""
    if gate.command is None:
        return ""
    if not gate.used:
        return gate.command.shell.strip() or " ".join(gate.command.argv)
    line = gate.command.shell
    match gate.used:
        case "python.test":
            return _python(line)
        case "node.test" if found := _NODE.search(line):
            return _node(line, found[1], found[2])
        case "go.test":
            return "go test ./..."
        case used if used.startswith("rust."):
            return _rust(line, used)
        case _:
            return _last_tool(line)


def _python(line: str) -> str:
    """The command, with the sources on the module path if they are not in the folder itself, which is always on it."""
    sources, discovery = _SOURCES.search(line), _DISCOVERY.search(line)
    command = f"python3 -m {'pytest' if '--junitxml=' in line else 'unittest'}"
    if 'run_path("manage.py"' in line:
        command = "python3 manage.py test"
    elif discovery and discovery[1] != ".":
        command += f" discover -s {discovery[1]} -t {discovery[2]}"
    return f"PYTHONPATH={sources[1]} {command}" if sources else command


def _node(line: str, program: str, words: str) -> str:
    """The runner's command; `npm test` if the test script has other steps before or after it."""
    if _NODE_STEP.search(line):
        return "npm test"
    own = _NODE_OWN.search(line)
    command = f"npx {program}" if program else "node"
    return " ".join(f"{own[1] if own else ''} {command} {_NODE_REPORTING.sub('', words)}".split())


def _rust(line: str, used: str) -> str:
    """The command with the folder of the user's toolchains: in a checkout, HOME is another folder."""
    locked = " --locked" if "--locked" in line else ""
    command = f"cargo test --workspace{locked}" if used == "rust.test" else _last_tool(line)
    toolchains = _TOOLCHAINS.search(line)
    return f"RUSTUP_HOME={toolchains[1]} {command}" if toolchains and command else command


def _last_tool(line: str) -> str:
    """The last command of the gate's line; empty if it is not a single short command."""
    found = [match.group() for match in _TOOL.finditer(line)]
    last = found[-1] if found else line.strip().splitlines()[-1]
    said = _HANDLED.sub("", _REPORTING.sub("", last)).strip()
    return "" if said.count("'") % 2 or "exit 127" in said or "$" in said else said
