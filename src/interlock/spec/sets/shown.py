"""What a person or an agent types to ask what a gate asks, in one line. A ready gate's own line holds programs of ours:
here it is the tool that it starts.

Rule: it is made from the line, so that it runs where the line runs: a fresh checkout, with what setup left in it.
"""

from __future__ import annotations

import re

from interlock.core.pipeline import Gate

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


def shown(gate: Gate) -> str:
    """The command; empty where there is none, or nothing short says it."""
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
            return _last(line)


def _python(line: str) -> str:
    """With the sources on the module path where they do not lie in the folder itself, which Python looks in anyway."""
    sources, discovery = _SOURCES.search(line), _DISCOVERY.search(line)
    command = f"python3 -m {'pytest' if '--junitxml=' in line else 'unittest'}"
    if 'run_path("manage.py"' in line:
        command = "python3 manage.py test"
    elif discovery and discovery[1] != ".":
        command += f" discover -s {discovery[1]} -t {discovery[2]}"
    return f"PYTHONPATH={sources[1]} {command}" if sources else command


def _node(line: str, program: str, words: str) -> str:
    """Where other steps of the test script come before or after it: the script."""
    if _NODE_STEP.search(line):
        return "npm test"
    own = _NODE_OWN.search(line)
    command = f"npx {program}" if program else "node"
    return " ".join(f"{own[1] if own else ''} {command} {_NODE_REPORTING.sub('', words)}".split())


def _rust(line: str, used: str) -> str:
    """With the user's toolchains, which rustup looks for in a home that is not the user's here."""
    locked = " --locked" if "--locked" in line else ""
    command = f"cargo test --workspace{locked}" if used == "rust.test" else _last(line)
    toolchains = _TOOLCHAINS.search(line)
    return f"RUSTUP_HOME={toolchains[1]} {command}" if toolchains and command else command


def _last(line: str) -> str:
    """The tool that the line of a ready gate ends in."""
    found = [match.group() for match in _TOOL.finditer(line)]
    last = found[-1] if found else line.strip().splitlines()[-1]
    said = _HANDLED.sub("", _REPORTING.sub("", last)).strip()
    return "" if said.count("'") % 2 or "exit 127" in said or "$" in said else said
