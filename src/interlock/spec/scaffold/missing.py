"""What a failed gate says is missing, and what in the project would bring it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from interlock.spec.scaffold.setups.needs import extras_of, groups_of
from interlock.spec.sets import folder as look

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


def missing_in(root: Path, said: str) -> Iterator[str]:
    """A line for each thing that is missing, with what brings it where that is known."""
    for module in list(dict.fromkeys(_MODULE.findall(said)))[:MISSING_MAX]:
        yield f"the module {module} is missing: {_brought_by(root, module)}"
    for package in list(dict.fromkeys(_PACKAGE.findall(said)))[:MISSING_MAX]:
        yield f"the package {package} is missing: add it to the devDependencies, or to setup in .interlock/common.yaml"
    for program in list(dict.fromkeys(filter(None, (a or b for a, b in _PROGRAM.findall(said)))))[:MISSING_MAX]:
        yield f"the program {program} is missing: install it, or let setup in .interlock/common.yaml bring it"
    for fixture in list(dict.fromkeys(_FIXTURE.findall(said)))[:MISSING_MAX]:
        plugin = _FIXTURES.get(fixture, "the plugin of pytest that has it")
        yield f"the fixture {fixture} is missing: add {plugin} to setup in .interlock/common.yaml"


def _brought_by(root: Path, module: str) -> str:
    named = re.compile(rf"\b{re.escape(module).replace('_', '[-_]')}\b", re.I)
    for kind, tables in (("extra", extras_of(root)), ("group", groups_of(root))):
        for name, content in tables.items():
            if named.search(content):
                return f"the {kind} {name} brings it: add it to setup in .interlock/common.yaml"
    files = [name for name in look.files(root) if re.search(r"require[^/]*\.(txt|in)$", name)]
    for name in files[:100]:
        if named.search(look.text(root, name)):
            return f"{name} brings it: add `-r {name}` to setup in .interlock/common.yaml"
    return "add what brings it to setup in .interlock/common.yaml"
