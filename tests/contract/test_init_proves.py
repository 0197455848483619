"""`init` asks the gates it wrote once, on what is there now, and writes down what it learned."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

RED = {
    "x.py": "def f():\n    return 1\n",
    "tests/test_x.py": "from x import f\n\n\ndef test_f():\n    assert f()\n\n\ndef test_old():\n    assert f() == 3\n",
}


def next_of(said: str) -> list[str]:
    """The steps that `init` ends with."""
    return [line.strip() for line in said.rpartition("next:\n")[2].strip().splitlines()]


def quick(world: World) -> str:
    return (world.repository / ".interlock/pipelines/quick.yaml").read_text()


def test_tests_that_fail_today_are_named_and_may_go_on_failing(tmp_path: Path):
    world = new_world(tmp_path, RED)
    said = world.ask("init").ended(0, "1 of 2 tests fails on the code as it is: tests.test_x::test_old")
    assert next_of(said.err) == [
        "add the command that starts your coding agent to .interlock/common.yaml, under `agents`",
        'git add .interlock && git commit -m "Interlock pipelines"',
        'interlock run -p quick -t "the task"',
    ]
    assert "      # fails today, and may keep failing:\n      #   tests.test_x::test_old\n      - id: test\n" in quick(
        world
    )
    assert "baseline: no_worse" in quick(world)
    assert "baseline: no_worse" in (world.repository / ".interlock/pipelines/feature.yaml").read_text()
    world.ask("check", "-p", "quick").ended(0, "code/test passed")
    (world.repository / "x.py").write_text("def f():\n    return 0\n")
    world.ask("check", "-p", "quick").ended(1, "test_f failed (it passed in the accepted input)")


def test_a_gate_that_cannot_run_is_told_with_what_is_missing_and_what_brings_it(tmp_path: Path):
    extras = "[options.extras_require]\nfancy =\n  nowhere_to_be_found\n"
    files = {
        "setup.cfg": extras,
        "tests/test_x.py": "import pytest\nimport nowhere_to_be_found\n\n\ndef test_x():\n    pass\n",
    }
    world = new_world(tmp_path, files)
    said = world.ask("init").ended(0, "test CANNOT RUN on the code as it is: ")
    assert "the module nowhere_to_be_found is missing: the extra fancy provides it" in said.err
    assert "fix test as shown above, until this passes: interlock check -p quick" in next_of(said.err)
    assert "      # it cannot run on the code as it is: " in quick(world)
    assert world.ask("validate").code == 0


def test_a_setup_that_fails_is_told_with_its_own_words(tmp_path: Path):
    world = new_world(tmp_path, {"requirements.txt": "./nothing-here\n", "tests/test_x.py": "import pytest\n"})
    said = world.ask("init").ended(0, "CANNOT RUN")
    assert "nothing-here" in said.err


def test_a_setup_that_fails_is_told_once_for_all_gates(tmp_path: Path):
    lint = {"Makefile": "lint:\n\t@true\n"}
    world = new_world(tmp_path, {"requirements.txt": "./nothing-here\n", "tests/test_x.py": "import pytest\n", **lint})
    said = world.ask("init").ended(0)
    lines = [line for line in said.err.splitlines() if "CANNOT RUN" in line]
    assert ["nothing-here" in line for line in lines] == [True, False, False], said.err
    assert " CANNOT RUN on the code as it is: as " in lines[1]


def test_what_nobody_could_pass_is_written_but_off(tmp_path: Path):
    files = {
        "package.json": '{"scripts": {"lint": "echo too long >&2; exit 1", "test": "node --test"}}',
        "a.test.js": "require('node:test')('a', () => {});\n",
    }
    world = new_world(tmp_path, files)
    said = world.ask("init").ended(0, "lint fails on the code as it is", "it is written, but turned off")
    assert not any("interlock check" in line for line in next_of(said.err))  # what is on is green
    assert "      # - {id: lint, use: node.lint}\n" in quick(world)
    assert "turned off, since it fails on the code as it is: exit code 1" in quick(world)
    world.ask("check", "-p", "quick").ended(0, "code/test passed")


def test_a_linter_of_the_makefile_is_off_in_the_words_as_in_the_page(tmp_path: Path):
    world = new_world(tmp_path, {"Makefile": "lint:\n\t@exit 1\ntest:\n\t@true\n"})
    said = world.ask("init").ended(0, "lint fails on the code as it is", "it is written, but turned off").err
    assert "no attempt can pass it" not in said
    assert not any("mend" in line for line in next_of(said))
    assert "turned off, since it fails on the code as it is" in quick(world)


def test_nothing_is_asked_where_it_is_not_wanted_or_nothing_is_new(tmp_path: Path):
    world = new_world(tmp_path, RED)
    assert "run once" not in world.ask("init", "--no-verify").ended(0).err
    assert "no_worse" not in quick(world)
    said = world.ask("init").ended(0, "nothing to write: all files exist").err
    assert "run once" not in said
    assert next_of(said)[-1] == 'interlock run -p quick -t "the task"'
    assert not any("git add" in line for line in next_of(said))


def test_what_is_learned_is_in_the_json(tmp_path: Path):
    proved = new_world(tmp_path, RED).ask("init", "--json").json()["proved"]
    assert proved["learned"]["gates"] == [
        {"id": "test", "failing": ["tests.test_x::test_old"], "why": "", "can_run": True, "heeds": True, "unheeded": []}
    ]
    assert proved["green"] is True


def test_an_interrupt_leaves_what_was_written(tmp_path: Path):
    sleeps = {"tests/test_x.py": "import time\n\n\ndef test_x():\n    time.sleep(600)\n"}
    world = new_world(tmp_path, sleeps)
    process = world.start("init")
    written = world.repository / ".interlock/schema.json"
    while not written.exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "not all gates ran: stopped" in err
    assert ".interlock/pipelines/quick.yaml" in out
    assert "no_worse" not in quick(world)
    assert world.ask("validate").code == 0


def test_a_repository_without_a_commit_is_written_to_and_not_asked(tmp_path: Path):
    world = new_world(tmp_path, RED)
    world.git("checkout", "-q", "--orphan", "other")
    world.ask("init").ended(0, "not all gates ran: ", "commit something first")
    assert written_is_valid(world)


def test_a_state_folder_that_cannot_be_used_is_told_and_the_files_stay(tmp_path: Path):
    world = new_world(tmp_path, RED)
    (tmp_path / "file").write_text("")
    said = world.ask("init", INTERLOCK_STATE_HOME=str(tmp_path / "file" / "state")).ended(0, "not all gates ran: ")
    assert ".interlock/pipelines/quick.yaml" in said.out
    assert written_is_valid(world)


def written_is_valid(world: World) -> bool:
    return world.ask("validate").code == 0


# --- it failed before your change ----------------------------------------------------------------

LATER = """\
version: 1
name: t
agents:
  coder: {use: command, run: "echo $INTERLOCK_ATTEMPT > a"}
stages:
  code:
    agent: coder
    attempts: 2
    gates:
      - id: never
        run: grep -q nothing-of-the-kind b
"""


@pytest.fixture(scope="module")
def burned(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run whose gate fails whatever the agent does."""
    world = new_world(tmp_path_factory.mktemp("burned"), {"interlock.yaml": LATER, "b": "b\n"})
    world.ask("run", "-t", "x", "--plain").ended(3)
    return world


def test_a_gate_that_is_red_on_the_base_is_told_before_the_first_attempt(tmp_path: Path):
    world = new_world(tmp_path, {"interlock.yaml": LATER, "b": "b\n"})
    lines = world.ask("run", "-t", "x", "--plain").ended(3).text.splitlines()
    red = next(index for index, line in enumerate(lines) if "before any work: the agent must fix it" in line)
    first = next(index for index, line in enumerate(lines) if "coder works" in line)
    assert red < first
    assert "gate code/never failed" in lines[red]
    assert any("gate never failed" in line and line.endswith("as before any work") for line in lines)


def test_the_pause_says_that_it_failed_before_any_work(burned: World):
    (wait,) = burned.show()["waits"]
    assert wait["detail"] == ("all 2 attempts were rejected (gate code/never failed before any work as well)")


def test_the_agent_is_told_that_it_failed_before_its_change(burned: World):
    documents = [path.read_text(errors="replace") for path in burned.root.glob("state/*/*/blobs/*/*") if path.is_file()]
    assert any("- never: it failed before your change as well" in text for text in documents)


def test_check_says_that_it_failed_before_the_change(tmp_path: Path):
    world = new_world(tmp_path, {"interlock.yaml": LATER, "b": "b\n"})
    assert "failed before" not in world.ask("check").ended(1).text  # nothing has changed yet
    (world.repository / "a").write_text("a\n")
    world.ask("check").ended(1, "✗ code/never failed (it failed before your change as well)")
    (gate,) = [gate for gate in world.ask("check", "--json").json()["gates"] if gate["gate"] == "never"]
    assert gate["failed_before"] is True


def test_a_test_that_failed_before_says_so_in_its_finding(tmp_path: Path):
    pipeline = LATER.replace(
        "      - id: never\n        run: grep -q nothing-of-the-kind b\n", "      - {id: test, use: python.test}\n"
    )
    world = new_world(tmp_path, {"interlock.yaml": pipeline, **RED})
    (world.repository / "x.py").write_text("def f():\n    return 2\n")
    world.ask("check").ended(1, "tests.test_x::test_old failed (it failed before your change as well)")


SCRIPT = {
    "package.json": '{"name": "x", "scripts": {"test": "node test.js"}}',
    "index.js": "exports.add = (a, b) => a + b;\n",
    "test.js": "const { add } = require('./index.js');\nif (add(1, 2) !== 3) throw new Error('wrong');\n",
}


def test_a_script_by_its_exit_code_is_seen_to_say_no(tmp_path: Path):
    world = new_world(tmp_path, SCRIPT)
    world.ask("init").ended(0, "WARNING: node.test is judged only by its exit code", "test passed")
    assert 'breaks: ["/test.js"]\n' in quick(world)
    world.ask("check", "-p", "quick").ended(0, "code/test passed")
    (world.repository / "index.js").write_text("process.exit(0);\n")
    world.ask("check", "-p", "quick").ended(1, "a test file was broken, but the command did not fail")


def test_a_target_of_a_makefile_as_well(tmp_path: Path):
    files = {"Makefile": "test:\n\tsh tests/run.sh\n", "tests/run.sh": "true\n", "tests/a.sh": ""}
    world = new_world(tmp_path, files)
    world.ask("init").ended(0, "test passed")
    assert "breaks: [tests/run.sh]" in quick(world), "a.sh is not run"


def test_a_script_that_heeds_no_test_file(tmp_path: Path):
    files = {"Makefile": "test:\n\ttrue\n", "tests/run.sh": "true\n"}
    world = new_world(tmp_path, files)
    world.ask("init").ended(0, "test is judged only by its exit code: it also passes if tests/run.sh is broken")
    assert "breaks:" not in quick(world)
    assert "      # judged only by its exit code: it also passes with a broken test file\n" in quick(world)
    world.ask("check", "-p", "quick").ended(0, "code/test passed")
