from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.contract.sets.projects import PYTEST, UNITTEST, lay, run

from interlock.core.pipeline import Report
from interlock.pipelinefile.sets import resolve


def test_pytest_green_and_red(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, PYTEST))
    assert ready.report is Report.JUNIT
    assert ready.applies
    green = run(ready, project, tmp)
    assert green.code == 0, green.output
    assert green.cases() == {"tests.test_adder::test_adds": "passed"}
    lay(project, {"src/adder.py": "def add(a, b):\n    return a - b\n"})
    red = run(ready, project, tmp)
    assert red.code == 1
    assert red.cases() == {"tests.test_adder::test_adds": "failure"}


def test_a_pytest_in_the_checkout_does_not_pose_as_pytest(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, PYTEST))
    lay(project, {"src/adder.py": "add = None\n", "pytest.py": "raise SystemExit(0)\n"})
    red = run(ready, project, tmp)
    assert red.code == 1
    assert "failure" in red.cases().values()


def test_a_project_that_pytest_itself_needs_is_judged_and_not_the_installed_one(project: Path, tmp: Path):
    import iniconfig

    content = (
        "from pathlib import Path\n\nimport iniconfig\n\n\ndef test_it():\n"
        "    assert Path(iniconfig.__file__).is_relative_to(Path.cwd())\n"
    )
    ready = resolve("python.test", lay(project, {"pytest.ini": "[pytest]\n", "tests/test_it.py": content}))
    assert run(ready, project, tmp).code == 1
    shutil.copytree(Path(iniconfig.__file__).parent, project / "src" / "iniconfig")
    ready = resolve("python.test", project)
    green = run(ready, project, tmp)
    assert green.code == 0, green.output


def test_mypy_takes_no_targets_from_another_section(project: Path):
    lay(project, {**PYTEST, "setup.cfg": "[options]\npackages = find:\n[mypy]\nstrict = true\n"})
    assert "mypy --cache-dir=/dev/null src" in resolve("python.types", project).run
    lay(project, {"setup.cfg": "[mypy]\npackages = adder\n"})
    assert "mypy --cache-dir=/dev/null src" not in resolve("python.types", project).run


def test_without_pytest_the_line_ends_with_127(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, PYTEST))
    bare = tmp / "bin"
    bare.mkdir(parents=True)
    interpreter = Path("/usr/bin/python3")
    if not interpreter.exists():
        pytest.skip("no second Python here")
    (bare / "python3").write_text(f'#!/bin/sh\nexec {interpreter} -S "$@"\n')
    (bare / "python3").chmod(0o755)
    ran = run(ready, project, tmp, path=str(bare))
    assert ran.code == 127
    assert "pytest is not installed" in ran.output


def test_sources_of_the_checkout_come_before_an_editable_install_elsewhere(project: Path, tmp: Path, monkeypatch):
    elsewhere = lay(tmp / "elsewhere", {"adder.py": "def add(a, b):\n    return 3\n"})
    ready = resolve("python.test", lay(project, PYTEST))
    lay(project, {"src/adder.py": "def add(a, b):\n    return 4\n"})
    ready_with_path = type(ready)(f"export PYTHONPATH={elsewhere}\n{ready.run}", ready.report, False, "")
    assert run(ready_with_path, project, tmp).code == 1


def test_unittest_where_nothing_asks_for_pytest(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, UNITTEST))
    assert "unittest" in ready.why
    green = run(ready, project, tmp)
    assert green.code == 0, green.output
    assert green.cases() == {
        "tests.test_adder.Adds::test_adds": "passed",
        "tests.test_adder.Adds::test_each": "passed",
        "tests.test_adder.Adds::test_later": "skipped",
    }
    lay(project, {"adder.py": "def add(a, b):\n    return a + b + 1\n"})
    red = run(ready, project, tmp)
    assert red.code == 1
    assert red.cases()["tests.test_adder.Adds::test_adds"] == "failure"
    assert red.cases()["tests.test_adder.Adds::test_each"] == "failure"


def test_a_test_module_that_cannot_be_imported_is_an_error_of_its_own(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, UNITTEST))
    lay(project, {"tests/test_broken.py": "import nothing_of_this_name\n"})
    red = run(ready, project, tmp)
    assert red.code == 1
    assert red.cases()["tests::test_broken"] == "error"


def test_a_unittest_run_cut_short_leaves_no_report(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, UNITTEST))
    lay(project, {"adder.py": "import os\nos._exit(0)\n"})
    cut = run(ready, project, tmp)
    assert not cut.report.exists()


def test_unittest_without_a_package_and_with_text_that_xml_cannot_hold(project: Path, tmp: Path):
    files = {
        "test/test_a.py": (
            "import unittest\n\n\nclass A(unittest.TestCase):\n"
            "    def test_a(self):\n        self.fail('\\x00 \\ud800 <&')\n"
        )
    }
    red = run(resolve("python.test", lay(project, files)), project, tmp)
    assert red.code == 1
    assert red.cases() == {"test_a.A::test_a": "failure"}


def test_no_tests_found_is_no_pass(project: Path, tmp: Path):
    ready = resolve("python.test", lay(project, UNITTEST))
    (project / "tests/test_adder.py").unlink()
    assert run(ready, project, tmp).code == 5


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"pytest.ini": "[pytest]\n"}, "pytest.ini"),
        ({"requirements-dev.txt": "pytest>=8\n"}, "requirements-dev.txt"),
        ({"tests/test_a.py": "def test_a():\n    pass\n"}, "tests/test_a.py"),
        ({"tests/test_a.py": "import unittest\nimport pytest\n"}, "tests/test_a.py"),
        ({"uv.lock": 'name = "pytest"\n'}, "uv.lock"),
    ],
)
def test_what_speaks_for_pytest(project: Path, files: dict[str, str], reason: str):
    assert resolve("python.test", lay(project, files)).why == f"pytest, because of {reason}"


@pytest.mark.parametrize("option", ["line-length = 100", "fix = true", "fix-only = true"])
def test_ruff_reports_sarif_green_and_red(project: Path, tmp: Path, option: str):
    """A project that has ruff fix what it finds has its errors reported all the same."""
    ready = resolve("python.lint", lay(project, {**PYTEST, "ruff.toml": f"{option}\n"}))
    assert ready.report is Report.SARIF
    assert run(ready, project, tmp).code == 0
    lay(project, {"src/adder.py": "import os\n"})
    red = run(ready, project, tmp)
    assert red.code == 1
    assert json.loads(red.report.read_text())["runs"][0]["results"][0]["ruleId"] == "F401"


@pytest.mark.parametrize(
    ("files", "tool", "applies"),
    [
        ({"setup.cfg": "[flake8]\n"}, "flake8", True),
        ({".pylintrc": ""}, "pylint", True),
        ({"pyproject.toml": "[tool.ruff]\nline-length = 90\n"}, "ruff", True),
        ({"pyproject.toml": "this is [ no toml"}, "ruff", False),
        ({}, "ruff", False),
    ],
)
def test_the_configured_linter_is_taken(project: Path, files: dict[str, str], tool: str, applies: bool):
    project.mkdir()
    ready = resolve("python.lint", lay(project, files))
    assert tool in ready.run
    assert ready.applies is applies


def test_mypy_green_and_red(project: Path, tmp: Path):
    ready = resolve("python.types", lay(project, {**PYTEST, "mypy.ini": "[mypy]\nstrict = true\n"}))
    green = run(ready, project, tmp)
    assert green.code == 0, green.output
    lay(project, {"src/adder.py": "def add(a: int, b: int) -> str:\n    return a + b\n"})
    assert run(ready, project, tmp).code == 1


def test_a_tool_that_is_not_there_ends_with_127(project: Path, tmp: Path):
    ready = resolve("python.lint", lay(project, {".flake8": "[flake8]\n"}))
    ran = run(ready, project, tmp)
    assert ran.code == 127
    assert "flake8 is missing" in ran.output


def test_every_file_must_compile(project: Path, tmp: Path):
    ready = resolve("python.build", lay(project, PYTEST))
    lay(project, {"tests/broken_on_purpose.py": "def (\n"})
    assert run(ready, project, tmp).code == 0
    lay(project, {"src/broken.py": "def (\n"})
    assert run(ready, project, tmp).code == 1


DJANGO = {
    "manage.py": (
        "# stands for django.core.management: it starts unittest's runner as Django's does\n"
        "import sys\nimport unittest\n\n"
        "assert sys.argv[1:] == ['test', '--noinput']\n"
        "class Result(unittest.TextTestResult):\n    pass\n\n"
        "suite = unittest.TestLoader().loadTestsFromName('blog.tests')\n"
        "result = unittest.TextTestRunner(resultclass=Result).run(suite)\n"
        "sys.exit(bool(result.failures or result.errors))\n"
    ),
    "blog/__init__.py": "",
    "blog/tests.py": (
        "import unittest\n\n\nclass Blog(unittest.TestCase):\n    def test_title(self):\n        pass\n\n"
        "    def test_body(self):\n        self.assertEqual(1, BODY)\n\n"
        "    @unittest.skip('later')\n    def test_date(self):\n        pass\n\n\nBODY = 1\n"
    ),
}


def test_djangos_own_runner_reports(tmp_path: Path) -> None:
    project = lay(tmp_path / "project", DJANGO)
    ready = resolve("python.test", project)
    assert (ready.report, "manage.py test" in ready.why) == (Report.JUNIT, True)
    ran = run(ready, project, tmp_path / "tmp")
    assert ran.code == 0, ran.output
    assert ran.cases() == {
        "blog.tests.Blog::test_title": "passed", "blog.tests.Blog::test_body": "passed",
        "blog.tests.Blog::test_date": "skipped",
    }  # fmt: skip
    (project / "blog/tests.py").write_text(DJANGO["blog/tests.py"].replace("BODY = 1", "BODY = 22"))
    ran = run(ready, project, tmp_path / "tmp")
    assert (ran.code, ran.cases()["blog.tests.Blog::test_body"]) == (1, "failure")


def test_a_runner_of_django_that_runs_nothing_is_no_pass(tmp_path: Path) -> None:
    project = lay(tmp_path / "project", {**DJANGO, "manage.py": "# django\n"})
    ran = run(resolve("python.test", project), project, tmp_path / "tmp")
    assert ran.code == 5
    assert not ran.report.exists()
