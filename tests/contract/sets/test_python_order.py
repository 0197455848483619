"""What judges Python never comes from the candidate: attacks by files that a candidate adds, and honest projects."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.sets.projects import PYTEST, UNITTEST, lay, run

from interlock.pipelinefile.sets import ResolvedGate, resolve

WRONG = {"src/adder.py": "def add(a: int, b: int) -> int:\n    return a - b\n"}
END = "import os\nos._exit(0)\n"
LIE = "\nimport _pytest.reports as r\nr.TestReport.failed = property(lambda self: False)\nr.TestReport.passed = True\n"
FAKE = (
    "import atexit, os, sys\n\ndef lie():\n    import glob\n    found = [a for a in sys.argv if 'junitxml' in a]\n"
    "    path = os.environ.get('REPORT') or (found and found[0].partition('=')[2])\n"
    "    open(path or os.devnull, 'w').write('<testsuite><testcase classname=\"t\" name=\"lied\"/></testsuite>')\n"
)


ADDED = {
    "a local iniconfig": {"iniconfig/__init__.py": END},
    "a local pluggy beside the sources": {"src/pluggy.py": END},
    "a local pygments": {"pygments/__init__.py": END},
    "a local pytest": {"pytest.py": END, "_pytest/__init__.py": END},
    "an entry point": {
        "liar-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: liar\nVersion: 1.0\n",
        "liar-1.0.dist-info/entry_points.txt": "[pytest11]\nliar = liar\n",
        "liar.py": END,
    },
    "an entry point beside the sources": {
        "src/liar.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: liar\nVersion: 1.0\n",
        "src/liar.egg-info/entry_points.txt": "[pytest11]\nliar = liar\n",
        "src/liar.py": END,
    },
    "modules of the standard library": dict.fromkeys(
        ("random.py", "json.py", "xml/__init__.py", "typing.py", "platform.py", "src/html.py", "bdb.py", "pprint.py"),
        END,
    ),
    "the interpreter's own": dict.fromkeys(("sitecustomize.py", "usercustomize.py", "src/sitecustomize.py"), END)
    | {"a.pth": "import os; os._exit(0)\n"},
    "a nearer configuration": {"pytest.ini": "[pytest]\naddopts = --deselect tests/test_adder.py\n"},
    "an end of the process that writes the report": {
        "src/adder.py": FAKE + "atexit.register(lie)\n" + WRONG["src/adder.py"]
    },
}


@pytest.mark.parametrize("name", ADDED)
def test_what_a_candidate_adds_does_not_reach_pytest(project: Path, tmp: Path, name: str):
    ready = resolve("python.test", lay(project, PYTEST))
    lay(project, {**WRONG, **ADDED[name]})
    red = run(ready, project, tmp)
    assert red.code == 1, red.output
    assert red.cases() == {"tests.test_adder::test_adds": "failure"}


def test_a_library_of_the_tests_comes_from_setup_and_not_from_the_candidate(project: Path, tmp: Path):
    test = (
        "from hypothesis import given, settings\nfrom hypothesis.strategies import integers\n\nfrom adder import add\n"
        "\n\n@settings(deadline=None)\n@given(integers())\ndef test_adds(number):\n"
        "    assert add(number, 1) == number + 1\n"
    )
    files = {**PYTEST, "tests/test_adder.py": test, "tests/__init__.py": ""}
    ready = resolve("python.test", lay(project, files))
    assert run(ready, project, tmp).code == 0
    lie = {
        "hypothesis/__init__.py": "def given(_):\n    return lambda test: lambda: None\n\n\n"
        "def settings(**_):\n    return lambda test: test\n",
        "hypothesis/strategies.py": "integers = int\n",
    }
    lay(project, {**WRONG, **lie})
    red = run(ready, project, tmp)
    assert red.cases() == {"tests.test_adder::test_adds": "failure"}, red.output


BESIDE_UNITTEST = {
    "modules of the standard library": dict.fromkeys(("xml/__init__.py", "unittest/__init__.py", "traceback.py"), END),
    "an end of the process that writes the report": {"adder.py": FAKE + "atexit.register(lie)\n"},
}


@pytest.mark.parametrize("name", BESIDE_UNITTEST)
def test_what_a_candidate_adds_does_not_reach_unittest(project: Path, tmp: Path, name: str):
    ready = resolve("python.test", lay(project, UNITTEST))
    wrong = "def add(a, b):\n    return a - b\n"
    lay(project, BESIDE_UNITTEST[name])
    lay(project, {"adder.py": BESIDE_UNITTEST[name].get("adder.py", "") + wrong})
    red = run(ready, project, tmp)
    assert red.code == 1, red.output
    assert red.cases()["tests.test_adder.Adds::test_adds"] == "failure"


@pytest.mark.parametrize("name", ["PYTEST_ADDOPTS=--co", "PYTEST_PLUGINS=adder"])
def test_the_environment_does_not_steer_pytest(project: Path, tmp: Path, name: str):
    ready = resolve("python.test", lay(project, {**PYTEST, **WRONG}))
    steered = ResolvedGate(f"export {name}\n{ready.run}", ready.report, False, "")
    assert run(steered, project, tmp).cases() == {"tests.test_adder::test_adds": "failure"}


def test_the_product_sees_neither_report_nor_command_line(project: Path, tmp: Path):
    look = "import os, sys\nseen = sorted({'REPORT', 'HELD_OUT'} & set(os.environ)) + sys.argv[1:]\n"
    test = "from adder import seen\n\n\ndef test_it():\n    assert seen == []\n"
    files = {**PYTEST, "src/adder.py": look, "tests/test_adder.py": test}
    assert run(resolve("python.test", lay(project, files)), project, tmp).code == 0


# --- honest projects -------------------------------------------------------------------------------


def test_a_plugin_of_the_project_that_its_configuration_names(project: Path, tmp: Path):
    plugin = "import pytest\n\n\n@pytest.fixture\ndef three():\n    return 3\n"
    test = "from adder import add\n\n\ndef test_it(three):\n    assert add(1, 2) == three\n"
    ini = '[tool.pytest.ini_options]\naddopts = "-p adding.plugin"\n'
    files = {**PYTEST, "pyproject.toml": ini, "src/adding/plugin.py": plugin, "tests/test_adder.py": test}
    green = run(resolve("python.test", lay(project, files)), project, tmp)
    assert green.code == 0, green.output


def test_a_configuration_that_a_stage_moved_is_found(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, PYTEST))
    lay(project, {"pyproject.toml": "", "pytest.ini": "[pytest]\npython_functions = check_*\n"})
    lay(project, {"tests/test_adder.py": "def check_it():\n    pass\n"})
    green = run(ready, project, tmp)
    assert green.cases() == {"tests.test_adder::check_it": "passed"}, green.output


def test_a_configuration_above_the_folder_of_the_gate(project: Path, tmp: Path):
    lay(project, {".git/config": "", "pytest.ini": "[pytest]\npython_functions = check_*\n"})
    part = lay(project / "part", {"src/adder.py": "", "tests/test_adder.py": "def check_it():\n    pass\n"})
    ready = resolve("python.test", part)
    assert "../pytest.ini" in ready.run
    assert run(ready, part, tmp).cases() == {"part.tests.test_adder::check_it": "passed"}


@pytest.mark.parametrize("name", ["pluggy", "packaging", "calendar"])
def test_a_project_named_as_what_the_judge_has_is_tested_itself(project: Path, tmp: Path, name: str):
    test = f"import {name}\n\n\ndef test_it():\n    assert {name}.ours\n"
    files = {"pytest.ini": "[pytest]\n", f"src/{name}/__init__.py": "ours = True\n", "tests/test_it.py": test}
    green = run(resolve("python.test", lay(project, files)), project, tmp)
    assert green.code == 0, green.output


def test_a_namespace_with_parts_in_both(project: Path, tmp: Path):
    elsewhere = lay(tmp / "elsewhere", {"shared/theirs.py": "two = 2\n"})
    test = "from shared.ours import one\nfrom shared.theirs import two\n\n\ndef test_it():\n    assert one + two == 3\n"
    files = {"pytest.ini": "[pytest]\n", "src/shared/ours.py": "one = 1\n", "tests/test_it.py": test}
    ready = resolve("python.test", lay(project, files))
    green = run(ResolvedGate(f"export PYTHONPATH={elsewhere}\n{ready.run}", ready.report, False, ""), project, tmp)
    assert green.code == 0, green.output


def test_a_test_file_that_cannot_be_loaded_does_not_hide_the_others(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, PYTEST))
    lay(project, {"tests/test_new.py": "import adder_that_is_missing\n"})
    red = run(ready, project, tmp)
    assert red.code == 1
    assert red.cases()["tests.test_adder::test_adds"] == "passed"


def test_fail_fast_of_the_project_does_not_hide_tests(project: Path, tmp: Path):
    ini = '[tool.pytest.ini_options]\naddopts = "-x"\n'
    two = "def test_a():\n    assert 0\n\n\ndef test_b():\n    pass\n"
    red = run(resolve("python.test", lay(project, {"pyproject.toml": ini, "tests/test_two.py": two})), project, tmp)
    assert len(red.cases()) == 2
