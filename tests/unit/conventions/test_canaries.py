"""Which runner a command starts, and whether a failing test would change what else it says."""

import pytest

from interlock.conventions.commands import named, recognised, stands_aside
from interlock.core.pipeline import CommandLine

KNOWN = {
    'pytest -q --junitxml "$REPORT"': "pytest",
    'PYTHONPATH=. "/opt/bin/python3.12" -B -m pytest -q -p no:cacheprovider --junitxml="$REPORT" tests': "pytest",
    "ruff check . && pytest": "pytest",
    'pytest -m "not slow"': "pytest",
    "uv run pytest -rxX": "pytest",
    'PYTHONPATH=. pytest "$HELD_OUT"': "pytest",
    'env -u REPORT -u HELD_OUT PYTHONPATH=. python3 -m pytest -q --junitxml "$REPORT" "$HELD_OUT"': "pytest",
    "python -m unittest discover -s tests": "unittest",
    "node --test --import ./a.js test/": "node",
    "npx vitest run --coverage": "vitest",
    "node_modules/.bin/jest --ci": "jest",
    'mocha -r ts-node/register "test/**/*.ts"': "mocha",
    "gotestsum --junitfile r.xml -- ./...": "go",
    "go test ./...": "go",
    "cargo nextest run": "cargo",
    "./mvnw -B test": "junit",
    # What leaves a new test out, or is not known:
    "pytest tests/test_a.py": "",
    "pytest tests/test_a.py::test_b": "",
    "pytest -k one": "",
    "pytest -m slow": "",
    "python -m unittest tests.test_a": "",
    "node --test test/a.test.js": "",
    "jest -t one": "",
    "mocha --grep one": "",
    "go test -run TestOne ./...": "",
    "mvn -Dtest=One test": "",
    "make test": "",
    "npm test": "",
}


@pytest.mark.parametrize("shell", KNOWN)
def test_the_runner_that_a_command_starts(shell: str) -> None:
    assert recognised(CommandLine(shell=shell)) == KNOWN[shell]


def test_a_command_of_words() -> None:
    assert recognised(CommandLine(argv=("python3", "-m", "pytest", "tests"))) == "pytest"
    assert named(CommandLine(argv=("python3", "-m", "pytest", "-q", "tests", "$HELD_OUT")), "pytest") == ("tests",)


@pytest.mark.parametrize(
    ("shell", "aside"),
    [
        ("export A=1\nruff check .\npytest", False),
        ("pytest -q -rxX -n 4", False),
        ("pytest -x", True),
        ("pytest -qx", True),
        ("pytest --maxfail=2", True),
        ("pytest && ./more", True),
        ("pytest\n./more", True),
        ("pytest | tee log", True),
        ("pytest --cov --cov-fail-under=90", True),
        ("cargo nextest run --no-fail-fast", False),
        ("cargo nextest run", True),
        ("jest --bail", True),
        ("node --test --experimental-test-coverage --test-coverage-lines=90", True),
        ("c8 --check-coverage node --test", True),
        ("mvn -B test", False),
        ("mvn -B verify", True),
    ],
)
def test_where_a_failing_test_would_change_the_rest(shell: str, aside: bool) -> None:
    command = CommandLine(shell=shell)
    assert stands_aside(command, recognised(command)) is aside
