"""Node's runners as ready gates, real ones: each shows the test that must fail, and lies of the product show by it.

vitest, jest and mocha are installed from the package index, each once for all tests here.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.gates_world import World
from tests.contract.sets.projects import NODE
from tests.nightly import rest_at_night

from interlock.core.events import VerdictStatus
from interlock.core.ids import base_of
from interlock.core.pipeline import CommandLine, Gate, GateKind, Report
from interlock.pipelinefile.sets import resolve
from interlock.ports import Judgement

PASSED, FAILED, ERRORED = VerdictStatus
_OF_THE_USER = dict(os.environ)  # when tests are collected: fetching needs the user's npm and cache
_VERSIONS = {"vitest": "^4 || ^5", "jest": "^30", "mocha": "^11 || ^12"}
_WRONG = "a + b - 1"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


def package(runner: str, **more: object) -> dict[str, str]:
    content = {"scripts": {"test": f"{runner} run" if runner == "vitest" else runner}, "devDependencies": {runner: "*"}}
    return {"package.json": json.dumps({**content, **more})}


IMPORTED = "export const add = (a, b) => a + b;\n"
REQUIRED = "exports.add = (a, b) => a + b;\n"
PROJECTS: dict[str, dict[str, str]] = {
    "node": NODE,
    "vitest": {
        **package("vitest", type="module"),
        "src/adder.js": IMPORTED,
        "src/adder.test.js": "import { test, expect } from 'vitest';\nimport { add } from './adder.js';\n\n"
        "test('adds', () => expect(add(1, 2)).toBe(3));\n",
    },
    "vitest with globals": {
        **package("vitest", type="module"),
        "vitest.config.js": "export default { test: { globals: true } };\n",
        "adder.js": IMPORTED,
        "test/adder.spec.ts": "import { add } from '../adder.js';\n\ntest('adds', () => expect(add(1, 2)).toBe(3));\n",
    },
    "jest": {
        **package("jest"),
        "adder.js": REQUIRED,
        "__tests__/adder.js": "const { add } = require('../adder');\n\n"
        "test('adds', () => expect(add(1, 2)).toBe(3));\n",
    },
    "mocha": {
        **package("mocha"),
        "adder.js": REQUIRED,
        "test/adder.js": "const assert = require('node:assert');\nconst { add } = require('../adder');\n\n"
        "describe('adder', () => it('adds', () => assert.equal(add(1, 2), 3)));\n",
    },
    "mocha, modern": {
        **package("mocha", type="module"),
        "adder.js": IMPORTED,
        "test/adder.spec.mjs": "import assert from 'node:assert';\nimport { add } from '../adder.js';\n\n"
        "it('adds', () => assert.equal(add(1, 2), 3));\n",
    },
}
# What the product adds to itself, so that its tests pass: for each kind of modules.
LIES = {
    "node": "\nimport assert from 'node:assert';\nassert.equal = () => {};\n",
    "vitest": "\nimport { expect } from 'vitest';\n"
    "Object.assign(Object.getPrototypeOf(expect(1)), { toBe() { return this; } });\n"
    "expect.extend({ toBe: () => ({ pass: true, message: () => '' }) });\n",
    "vitest with globals": "\nexpect.extend({ toBe: () => ({ pass: true, message: () => '' }) });\n",
    "jest": "\nexpect.extend({ toBe: () => ({ pass: true }) });\n",
    "mocha": "\nrequire('node:assert').equal = () => {};\n",
    "mocha, modern": "\nimport assert from 'node:assert';\nassert.equal = () => {};\n",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The node_modules of a runner, installed when it is first asked for: a push runs one of them."""

    @functools.cache
    def of(runner: str) -> Path:
        folder = tmp_path_factory.mktemp(runner)
        (folder / "package.json").write_text(json.dumps({"devDependencies": {runner: _VERSIONS[runner]}}))
        argv = ["npm", "install", "--no-audit", "--no-fund", "--no-progress"]
        done = subprocess.run(argv, cwd=folder, env=_OF_THE_USER, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"{runner} cannot be had from the package index, which this test needs:\n{done.stderr}")
        return folder / "node_modules"

    return of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world", {"PATH": os.environ["PATH"]})


def ready(world: World, packages: Path | None, runner: str) -> Gate:
    """The ready gate on the repository as it lies there; the checkout gets the packages as setup would lay them."""
    found = resolve("node.test", world.trees.repository)
    line = f'ln -s "{packages}" node_modules\n{found.run}' if packages else found.run
    assert found.report is Report.JUNIT
    assert found.canary == runner
    return Gate("check", GateKind.RUN, CommandLine(shell=line), found.report, canary=found.canary, used="node.test")


def _runner(project: str) -> str:
    return project.partition(" ")[0].strip(",")


def judged(world: World, gate: Gate, files: dict[str, str | None], base: str) -> Judgement:
    before = world.judge(gate, base, base, subject=base_of("code"))
    assert before.status is PASSED, (before.findings, world.evidence(before, "log").decode())
    baseline = world.evidence(before, "report")
    return world.judge(gate, world.trees.commit(files, base), base, baseline=baseline, decided_on_input=True)


def check(world: World, packages: Path | None, name: str) -> None:
    files = PROJECTS[name]
    base = world.trees.commit(files)
    gate = ready(world, packages, _runner(name))
    product = next(path for path in files if path.endswith("adder.js") and "test" not in path)
    right = judged(world, gate, {product: files[product].replace("a + b", "b + a")}, base)
    assert (right.status, right.findings) == (PASSED, ())
    wrong = judged(world, gate, {product: files[product].replace("a + b", _WRONG)}, base)
    assert [finding.rule for finding in wrong.findings] == ["test_failed"]
    assert "adds" in wrong.findings[0].message
    lie = judged(world, gate, {product: files[product].replace("a + b", _WRONG) + LIES[name]}, base)
    assert "canary" in [finding.rule for finding in lie.findings], lie.findings


def test_node_test(world: World) -> None:
    check(world, None, "node")


@pytest.mark.network
@pytest.mark.parametrize(
    "name", rest_at_night(sorted({*PROJECTS} - {"node"}, key=lambda name: (name != "mocha", name)))
)
def test_runners_of_the_index(world: World, installed: Callable[[str], Path], name: str) -> None:
    check(world, installed(_runner(name)), name)


def test_what_the_project_keeps_open_does_not_keep_the_test_that_must_fail(world: World) -> None:
    server = "import http from 'node:http';\nexport const server = http.createServer().listen(0);\n"
    test = (
        "import { test, after } from 'node:test';\nimport { server } from '../server.js';\n\n"
        "after(() => server.close());\ntest('listens', () => {});\n"
    )
    base = world.trees.commit({**NODE, "server.js": server, "test/server.test.js": test})
    assert judged(world, ready(world, None, "node"), {"README": ""}, base).status is PASSED
