"""Gates by their exit code alone: one test file is broken in a second run, and the command must then say no."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.contract.gates_world import World, run_gate

from interlock.core.events import VerdictStatus
from interlock.core.pipeline import Gate

ERRORED, FAILED, PASSED = VerdictStatus.ERRORED, VerdictStatus.FAILED, VerdictStatus.PASSED

CJS = "exports.add = (a, b) => a + b;\n"
TAPE = """\
const queue = [];
module.exports = (name, body) => queue.push([name, body]);
process.once('beforeExit', () => {
  for (const [name, body] of queue) {
    const t = { end() {}, equal(a, b) { if (a !== b) { console.log(`not ok ${name}`); process.exitCode = 1; } } };
    body(t);
  }
});
"""
KINDS = {
    "a script": (
        "node test.js", "test.js", CJS,
        "const { add } = require('./app');\nrequire('assert').equal(add(1, 2), 3);\n",
    ),
    "a script that waits": (
        "node test.js", "test.js", CJS,
        "const { add } = require('./app');\nsetTimeout(() => require('assert').equal(add(1, 2), 3), 1);\n",
    ),
    "a script that ends itself": (
        "node test.js", "test.js", CJS,
        "const { add } = require('./app');\nprocess.exit(add(1, 2) === 3 ? 0 : 1);\n",
    ),
    "a module": (
        "node test.mjs", "test.mjs", CJS,
        "import app from './app.js';\nimport assert from 'node:assert';\n\nassert.equal(app.add(1, 2), 3);\n",
    ),
    "tape": (
        "node test/a.js", "test/a.js", CJS,
        "const test = require('tape');\nconst { add } = require('../app');\n"
        "test('a', (t) => { t.equal(add(1, 2), 3); t.end(); });\n",
    ),
    "unittest": (
        "python3 -B tests.py", "tests.py", "def add(a, b):\n    return a + b\n",
        "import unittest\nfrom app import add\n\nclass A(unittest.TestCase):\n    def test_a(self):\n"
        "        self.assertEqual(add(1, 2), 3)\n\nif __name__ == '__main__':\n    unittest.main()\n",
    ),
    "plain Python": (
        "python3 -B tests.py", "tests.py", "def add(a, b):\n    return a + b\n",
        "from app import add\n\nassert add(1, 2) == 3\n",
    ),
    "a shell": ("sh tests/run.sh", "tests/run.sh", "true\n", ". ./app.sh\ntrue\nexit 0\n"),
}  # fmt: skip
EXITS = {"js": "process.exit(0);\n", "py": "import os\nos._exit(0)\n", "sh": "exit 0\n"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world", {"PATH": os.environ["PATH"]})


def gate(command: str, *breaks: str) -> Gate:
    return run_gate(command, canary="script", breaks=breaks)


def files_of(kind: str) -> tuple[str, str, dict[str, str]]:
    """Command, test file, all files."""
    command, test, product, text = KINDS[kind]
    ending = "js" if "js" in test else test.rpartition(".")[2]
    return command, test, {f"app.{ending}": product, test: text, "node_modules/tape/index.js": TAPE}


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_that_ends_the_program_is_seen(world: World, kind: str) -> None:
    command, test, files = files_of(kind)
    base = world.trees.commit(files)
    checked = gate(command, f"/{test}")
    found = world.judge(checked, base, base)
    assert (found.status, found.findings) == (PASSED, ())
    assert [item.name for item in found.evidence] == ["log", "log.must-fail"]
    product = next(name for name in files if name.startswith("app."))
    for text in (EXITS[product[4:]], EXITS[product[4:]] + files[product]):
        lied = world.judge(checked, world.trees.commit({product: text}, base), base, decided_on_input=True)
        assert (lied.status, [finding.rule for finding in lied.findings]) == (FAILED, ["canary"])


LATE = {
    "when it is called": "exports.add = () => process.exit(0);\n",
    "with another exit code": "exports.add = (a, b) => a - b;\nprocess.on('exit', () => { process.exitCode = 0; });\n",
    "an exception that is caught": "exports.add = (a, b) => a - b;\nprocess.on('uncaughtException', () => {});\n",
    "no assertions": "exports.add = (a, b) => a - b;\nrequire('assert').equal = () => {};\n",
}


@pytest.mark.parametrize("lie", LATE)
@pytest.mark.parametrize("kind", ["a script", "a script that waits"])
def test_a_product_that_lies_later(world: World, kind: str, lie: str) -> None:
    command, test, files = files_of(kind)
    base = world.trees.commit(files)
    bent = world.trees.commit({"app.js": LATE[lie]}, base)
    found = world.judge(gate(command, f"/{test}"), bent, base, decided_on_input=True)
    assert (found.status, [finding.rule for finding in found.findings]) == (FAILED, ["canary"])


def test_tape_is_given_a_test_of_its_own(world: World) -> None:
    command, test, files = files_of("tape")
    base = world.trees.commit(files)
    bent = world.trees.commit({"app.js": LATE["when it is called"]}, base)
    found = world.judge(gate(command, f"/{test}"), bent, base, decided_on_input=True)
    assert [finding.rule for finding in found.findings] == ["canary"]


def test_what_fails_by_itself_is_not_run_again(world: World) -> None:
    command, test, files = files_of("a script")
    base = world.trees.commit(files)
    broken = world.trees.commit({"app.js": "exports.add = (a, b) => a - b;\n"}, base)
    found = world.judge(gate(command, f"/{test}"), broken, base, decided_on_input=True)
    assert (found.status, [finding.rule for finding in found.findings]) == (FAILED, ["exit"])
    assert [item.name for item in found.evidence] == ["log"]


def test_a_command_that_does_not_run_the_file_decides_nothing(world: World) -> None:
    base = world.trees.commit({"test.js": "", "other.js": ""})
    found = world.judge(gate("node other.js", "/test.js"), base, base)
    assert (found.status, [finding.rule for finding in found.findings]) == (ERRORED, ["canary"])
    assert "name test files that it runs, or take `breaks` out" in found.findings[0].message


def test_each_file_that_is_named_is_broken(world: World) -> None:
    """Two programs in turn: what ends the first one early says nothing of the second."""
    first = "const { run } = require('../app');\nrequire('assert').equal(run(), 1);\n"
    second = "const { run } = require('../app');\nrun();\nrequire('assert').equal(run(), 1);\n"
    base = world.trees.commit({"app.js": "exports.run = () => 1;\n", "test/a.js": first, "test/b.js": second})
    both = gate("node test/a.js && node test/b.js", "test/a.js", "test/b.js")
    found = world.judge(both, base, base)
    assert (found.status, found.findings) == (PASSED, ())
    assert [item.name for item in found.evidence] == ["log", "log.must-fail", "log.must-fail.2"]
    bent = "let calls = 0;\nexports.run = () => (calls++ ? process.exit(0) : 1);\n"
    commit = world.trees.commit({"app.js": bent}, base)
    lied = world.judge(both, commit, base, decided_on_input=True)
    assert (lied.status, [(one.rule, one.file) for one in lied.findings]) == (FAILED, [("canary", "test/b.js")])
    again = world.judge(both, commit, base, decided_on_input=True)
    assert again.cached
    assert again.findings == lied.findings


def test_files_of_which_the_command_runs_only_one_decide_nothing(world: World) -> None:
    base = world.trees.commit({"test/a.js": "", "test/b.js": ""})
    found = world.judge(gate("node test/a.js", "test/a.js", "test/b.js"), base, base)
    assert (found.status, [one.file for one in found.findings]) == (ERRORED, ["test/b.js"])


def test_only_a_file_of_the_base_is_broken(world: World) -> None:
    base = world.trees.commit({"test/b.js": "", "test/data.txt": ""})
    more = world.trees.commit({"test/a.js": "process.exit(0);\n"}, base)
    assert world.judge(gate("node test/b.js", "/test/*"), more, base).status is PASSED


def test_nothing_to_break_is_told(world: World) -> None:
    base = world.trees.commit({"test/data.txt": ""})
    found = world.judge(gate("true", "/test/*"), base, base)
    assert found.status is PASSED
    assert [(finding.rule, finding.severity) for finding in found.findings] == [("canary", "warning")]
