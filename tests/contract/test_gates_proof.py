"""`expect: tests_prove_change` and `tests: base`, with pytest and node:test themselves."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.gates_world import World, run_gate
from tests.nightly import rest_at_night

from interlock.core.events import VerdictStatus
from interlock.core.ids import AttemptId, base_of, input_of
from interlock.core.pipeline import CommandLine, Expect, Gate, Report, Scope, Stage
from interlock.core.pipeline import Tests as Whose
from interlock.gates.proof import GUARDS, PROVEN
from interlock.pipelinefile.sets import resolve
from interlock.ports import Judgement

PASSED, FAILED, ERRORED = VerdictStatus
PRODUCT = "def add(a, b):\n    return a - b\n"
FIXED = "def add(a, b):\n    return a + b\n"
OLD = "from calc import add\n\n\ndef test_zero():\n    assert add(2, 0) == 2\n"
NEW = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    path = os.environ["PATH"]
    return World(tmp_path / "world", {"PATH": path})


@pytest.fixture
def base(world: World) -> str:
    return world.trees.commit({"calc.py": PRODUCT, "tests/test_old.py": OLD})


def proving(world: World) -> Gate:
    command = CommandLine(shell=resolve("python.test", world.trees.repository).run)
    return Gate(
        "test", run_gate("").kind, command, report=Report.JUNIT, used="python.test", expect=Expect.TESTS_PROVE_CHANGE
    )


def judged(world: World, gate: Gate, commit: str, base: str, stage: Stage | None = None) -> Judgement:
    """The gate's verdict on the commit, after that on the base."""
    before = world.judge(gate, base, base, stage, subject=base_of("code"))
    return world.judge(gate, commit, base, stage, baseline=world.evidence(before, "report"))


def rules(judgement: Judgement) -> list[str]:
    return [finding.rule for finding in judgement.findings if finding.severity == "error"]


def test_a_fix_with_a_test_that_fails_without_it(world: World, base: str) -> None:
    commit = world.trees.commit({"calc.py": FIXED, "tests/test_add.py": NEW}, base)
    judgement = judged(world, proving(world), commit, base)
    assert (judgement.status, rules(judgement)) == (PASSED, [])
    (note,) = judgement.findings
    assert (note.rule, note.file) == (PROVEN, "tests/test_add.py")
    assert "tests.test_add::test_add fails without the change (for an assertion)" in note.message
    (proven,) = json.loads(world.evidence(judgement, PROVEN))["tests"]
    assert proven["id"] == "tests.test_add::test_add"
    assert b"test_zero" not in world.evidence(judgement, "proof.report"), "only what changed is run again"


def test_beside_a_proof_a_test_that_passes_without_the_change_too_is_a_note(world: World, base: str) -> None:
    tests = {
        "tests/test_add.py": NEW,
        "tests/test_one.py": "from calc import add\n\n\ndef test_one():\n    assert add(1, 0) == 1\n",
    }
    commit = world.trees.commit({"calc.py": FIXED, **tests}, base)
    judgement = judged(world, proving(world), commit, base)
    assert (judgement.status, [finding.rule for finding in judgement.findings]) == (PASSED, [PROVEN, GUARDS])
    assert "test_one is new and passes without the change too; it tests old behaviour" in judgement.findings[1].message
    (proven,) = json.loads(world.evidence(judgement, PROVEN))["tests"]
    assert proven["id"] == "tests.test_add::test_add"


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("def test_add():\n    assert True\n", ["new_test_passed"]),
        ("def test_add(: pass\n", ["test_failed"]),
        ("import os\n\nif not os.path.exists('done'):\n    raise RuntimeError\n\n\ndef test_add():\n    pass\n",
         ["new_test_broken"]),
        ("import os\nimport pytest\n\n\n@pytest.fixture\ndef done():\n    assert os.path.exists('done')\n\n\n"
         "def test_add(done):\n    pass\n", ["new_test_broken"]),
        ("import os\nimport pytest\n\nif not os.path.exists('done'):\n"
         "    pytest.skip('later', allow_module_level=True)\n\n\ndef test_add():\n    pass\n", ["new_test_unproven"]),
        ("import pytest\n\n\n@pytest.mark.skip\ndef test_add():\n    pass\n", ["new_test_skipped"]),
        ("# nothing\n", ["no_new_tests"]),
        ("def test_add(request):\n    assert len(request.session.items) > 1\n", ["new_test_unproven"]),
    ],
    ids=["tautology", "syntax", "load", "fixture", "skips-itself", "skipped", "none", "together"],
)  # fmt: skip
def test_what_proves_nothing(world: World, base: str, test: str, found: list[str]) -> None:
    commit = world.trees.commit({"calc.py": FIXED, "done": "", "tests/test_add.py": test}, base)
    judgement = judged(world, proving(world), commit, base)
    assert (judgement.status, rules(judgement)) == (FAILED, found), judgement.findings


def test_a_change_without_any_test(world: World, base: str) -> None:
    judgement = judged(world, proving(world), world.trees.commit({"calc.py": FIXED}, base), base)
    assert (judgement.status, rules(judgement)) == (FAILED, ["no_new_tests"])
    assert "add a test that fails without it" in judgement.findings[0].message


@pytest.mark.parametrize(
    "name", rest_at_night(["from calc import mul", "from calc.more import mul", "import calc\n\nmul = calc.mul"])
)
def test_a_missing_name_at_the_top_of_a_new_file_proves_the_change(world: World, base: str, name: str) -> None:
    test = f"{name}\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"
    mul = "def mul(a, b):\n    return a * b\n"
    product = {"calc.py": None, "calc/__init__.py": f"{PRODUCT}\n\n{mul}", "calc/more.py": mul}
    commit = world.trees.commit({**product, "tests/test_mul.py": test}, base)
    judgement = judged(world, proving(world), commit, base)
    assert (judgement.status, rules(judgement)) == (PASSED, []), judgement.findings
    assert "for a missing name" in judgement.findings[0].message


def test_a_changed_test_proves_the_change_by_failing_without_it(world: World, base: str) -> None:
    changed = OLD.replace("add(2, 0) == 2", "add(2, 1) == 3")
    gate, stage = proving(world), Stage("code", agent="coder", scope=Scope(authors=("tests/**",)))
    commit = world.trees.commit({"calc.py": FIXED, "tests/test_old.py": changed}, base)
    assert judged(world, gate, commit, base, stage).status is PASSED
    weak = world.trees.commit({"calc.py": FIXED, "tests/test_old.py": OLD + "# the same\n"}, base)
    assert rules(judged(world, gate, weak, base, stage)) == ["no_new_tests"]


def test_a_configuration_beside_the_tests_gives_them_other_names_when_they_run_alone(world: World) -> None:
    base = world.trees.commit({"calc.py": PRODUCT, "tests/test_old.py": OLD, "tests/pytest.ini": "[pytest]\n"})
    commit = world.trees.commit({"calc.py": FIXED, "tests/test_add.py": NEW}, base)
    assert judged(world, proving(world), commit, base).status is PASSED


def test_old_tests_hold_as_ever(world: World, base: str) -> None:
    lost = world.trees.commit({"calc.py": FIXED, "tests/test_old.py": None, "tests/test_add.py": NEW}, base)
    assert rules(judged(world, proving(world), lost, base)) == ["test_vanished"]
    both = world.trees.commit({"calc.py": "def add(a, b):\n    return 5\n", "tests/test_add.py": NEW}, base)
    assert rules(judged(world, proving(world), both, base)) == ["test_failed"]


def test_inputs_and_merges_are_judged_by_their_tests_alone(world: World, base: str) -> None:
    gate = proving(world)
    assert world.judge(gate, base, base, subject=input_of("code", 1)).status is PASSED
    before = world.evidence(world.judge(gate, base, base, subject=base_of("code")), "report")
    fixed = world.trees.commit({"calc.py": FIXED}, base)
    assert world.judge(gate, fixed, base, subject=AttemptId("join", 1, 1), baseline=before).status is PASSED


def test_a_proof_hangs_on_the_accepted_input(world: World, base: str) -> None:
    gate = proving(world)
    commit = world.trees.commit({"calc.py": FIXED, "tests/test_add.py": NEW}, base)
    fixed = world.trees.commit({"calc.py": FIXED}, base)
    before = world.evidence(world.judge(gate, base, base, subject=base_of("code")), "report")
    on_base = world.judge(gate, commit, base, baseline=before)
    on_fixed = world.judge(gate, commit, fixed, baseline=before, base_commit=base)
    assert (on_base.status, rules(on_fixed)) == (PASSED, ["new_test_passed"])


def test_without_a_baseline_nothing_is_decided(world: World, base: str) -> None:
    assert world.judge(proving(world), base, base).status is ERRORED


# --- tests: base ---------------------------------------------------------------------------------


def test_the_tests_of_the_base_judge_what_weakened_its_own(world: World) -> None:
    base = world.trees.commit({"calc.py": FIXED, "tests/test_old.py": OLD})
    weakened = {"calc.py": PRODUCT.replace("a - b", "3"), "tests/test_old.py": "def test_zero():\n    pass\n"}
    weak = world.trees.commit({**weakened, "tests/test_more.py": "def test_more():\n    assert False\n"}, base)
    own = replace(proving(world), expect=Expect.PASS)
    bases = replace(own, tests=Whose.BASE)
    assert rules(judged(world, own, weak, base)) == ["test_failed"]  # test_more
    failed = judged(world, bases, weak, base)
    assert [finding.message.splitlines()[0] for finding in failed.findings] == [
        "tests.test_old::test_zero failed (it passed in the accepted input)"
    ]
    same = world.trees.commit({"tests/test_old.py": "def test_zero():\n    pass\n"}, base)
    assert judged(world, bases, same, base).status is PASSED
    assert world.judge(bases, same, base).status is ERRORED


# --- node:test -----------------------------------------------------------------------------------

NODE_OLD = "import { test } from 'node:test';\nimport { add } from '../calc.js';\ntest('old', () => { add(1, 1); });\n"
NODE_NEW = (
    "import { test } from 'node:test';\nimport assert from 'node:assert';\nimport { %s } from '../calc.js';\n"
    "test('new', () => { assert.equal(%s(2, 3), %d); });\n"
)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize(
    ("test", "status", "word"),
    [
        (NODE_NEW % ("add", "add", 5), PASSED, "for an assertion"),
        (NODE_NEW % ("mul", "mul", 6), PASSED, "for a missing name"),
        ("console.log('no tests');\n", FAILED, "no test shows the change"),
        ("import { test } from 'node:test';\ntest('new', () => {});\n", FAILED, "passes without the change too"),
    ],
)
def test_node(world: World, test: str, status: VerdictStatus, word: str) -> None:
    calc = "export const add = (a, b) => a %s b;\n"
    base = world.trees.commit(
        {"package.json": '{"type": "module"}', "calc.js": calc % "-", "test/old.test.js": NODE_OLD}
    )
    command = CommandLine(shell=resolve("node.test", world.trees.repository).run)
    gate = replace(proving(world), command=command, used="node.test")
    product = {"calc.js": calc % "+" + "export const mul = (a, b) => a * b;\n"}
    judgement = judged(world, gate, world.trees.commit({**product, "test/new.test.js": test}, base), base)
    assert judgement.status is status, judgement.findings
    assert word in judgement.findings[0].message


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize(
    ("test", "found"),
    [
        (NODE_NEW % ("mul", "mul", 6), []),
        ("import { mul } from '../nothing.js';\nmul();\n", []),
        ("import { test } from 'node:test';\ntest('new', (\n", ["new_test_broken"]),
        ("console.log('no tests');\n", ["no_new_tests"]),
    ],
    ids=["missing export", "missing file", "syntax", "no tests"],
)
def test_node_tests_that_come_first(world: World, test: str, found: list[str]) -> None:
    files = {"package.json": '{"type": "module"}', "calc.js": "export const add = (a, b) => a + b;\n"}
    base = world.trees.commit({**files, "test/old.test.js": NODE_OLD})
    command = CommandLine(shell=resolve("node.test", world.trees.repository).run)
    gate = replace(proving(world), command=command, used="node.test", expect=Expect.NEW_TESTS_FAIL)
    assert rules(judged(world, gate, world.trees.commit({"test/new.test.js": test}, base), base)) == found
