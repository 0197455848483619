"""What a person or an agent types to ask what a gate asks, in one line. A ready gate's own line holds programs of ours:
here it is the tool that it starts."""

from __future__ import annotations

import re

from interlock.core.pipeline import Gate

_RUNNERS = {
    "pytest": "python3 -m pytest", "unittest": "python3 -m unittest", "cargo": "cargo test --workspace",
    "jest": "npx jest", "vitest": "npx vitest run", "mocha": "npx mocha", "node": "node --test",
    "go": "go test ./...",
}  # fmt: skip
_TOOL = re.compile(r"^(?:\S*/)?(mvnw?|gradlew?|go|gotestsum)\b.*$", re.MULTILINE)
_REPORTING = re.compile(r"""\s*(--output-format sarif|--(output-file|junitxml)[= ]"?\$\{?REPORT\}?"?)""")
_HANDLED = re.compile(r" \|\| code=\$\?$")


def shown(gate: Gate) -> str:
    """The command; empty where there is none, or nothing short says it."""
    if gate.command is None:
        return ""
    if not gate.used:
        return gate.command.shell.strip() or " ".join(gate.command.argv)
    if 'run_path("manage.py"' in gate.command.shell:
        return "python3 manage.py test"
    return _RUNNERS.get(gate.canary, "") or _last(gate.command.shell)


def _last(line: str) -> str:
    """The tool that the line of a ready gate ends in."""
    found = [match.group() for match in _TOOL.finditer(line)]
    last = found[-1] if found else line.strip().splitlines()[-1]
    said = _HANDLED.sub("", _REPORTING.sub("", last)).strip()
    return "" if said.count("'") % 2 or "exit 127" in said or "$" in said else said
