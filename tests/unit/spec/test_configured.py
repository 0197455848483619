"""What a project's own configuration says are tests is protected like what is known by name."""

from pathlib import Path

import pytest

from interlock.core.pipeline import Command, Gate, GateKind
from interlock.spec.protected import run_by
from interlock.spec.sets.configured import configured_tests


@pytest.mark.parametrize(
    ("files", "globs"),
    [
        ({"pytest.ini": "[pytest]\npython_files = check_*.py\n"}, ["check_*.py"]),
        ({"pytest.ini": "[pytest]\npython_files = *.py\n"}, []),
        ({"pyproject.toml": '[tool.pytest.ini_options]\npython_files = ["verify_*.py", "test_*.py"]\n'},
         ["verify_*.py", "test_*.py"]),
        ({"setup.cfg": "[tool:pytest]\ntestpaths = quality\n", "quality/test_a.py": "", "quality/help.py": ""},
         ["/quality/**"]),
        ({"tox.ini": "[pytest]\ntestpaths = src tests .\n", "src/a.py": "", "src/b.py": "", "src/test_a.py": ""}, []),
        ({"package.json": '{"scripts": {"test": "c8 mocha --bail suite/ && node checks/all.js"}}', "suite/a.js": "",
          "checks/all.js": ""}, ["/suite/**", "/checks/all.js"]),
        ({"package.json": '{"scripts": {"test": "eslint src && tape \'quality/*.js\'"}}', "src/a.js": ""},
         ["/quality/*.js"]),
        ({"package.json": '{"jest": {"testMatch": ["<rootDir>/checks/**/*.{js,ts}", "!**/x", "**/*.js"]}}'},
         ["/checks/**/*.js", "/checks/**/*.ts"]),
        ({"package.json": '{"ava": {"files": ["quality/**"]}}'}, ["/quality/**"]),
        ({"package.json": '{"scripts": {"test": "node ."}}'}, []),
        ({"package.json": '{"scripts": 1, "jest": []}', "setup.cfg": "no section\n", "pyproject.toml": "["}, []),
    ],
)  # fmt: skip
def test_the_tests_that_a_configuration_names(tmp_path: Path, files: dict[str, str], globs: list[str]):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert list(configured_tests(tmp_path)) == globs


def gate(command: str) -> Gate:
    return Gate("g", GateKind.RUN, Command(shell=command))


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("bash checks/lint.sh", {"checks/lint.sh", "checks/lib.sh"}),
        ("make test", {"run-checks.sh", "checks/lib.sh"}),
        ("sh -c 'bash checks/lint.sh'", {"checks/lint.sh", "checks/lib.sh"}),
        ("npm test", {"checks/all.py"}),
        ("FOO=1 ./run-checks.sh && python3 checks/all.py", {"run-checks.sh", "checks/lib.sh", "checks/all.py"}),
        ("if true; then ! bash checks/lint.sh; fi", {"checks/lint.sh", "checks/lib.sh"}),
        ("python3 -m app app.py", set()),
        ("node --check index.js", set()),
        ("ruff check app.py", set()),
        ("node test.js", {"test.js"}),  # and not what it loads
    ],
)
def test_what_a_gate_starts_and_what_that_starts(tmp_path: Path, command: str, paths: set[str]):
    files = {
        "checks/lint.sh": ". checks/lib.sh\n", "checks/lib.sh": "true\n", "checks/all.py": "", "app.py": "",
        "index.js": "", "test.js": "const { add } = require('./index.js');\n",
        "Makefile": "test:\n\t@./run-checks.sh\n", "run-checks.sh": "source checks/lib.sh\n",
        "package.json": '{"scripts": {"test": "python3 checks/all.py"}}',
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert set(run_by(gate(command), tmp_path)) == paths
