"""Which commands correct files rather than check them."""

import pytest

from interlock.conventions.commands import only_checks
from interlock.core.pipeline import CommandLine


@pytest.mark.parametrize(
    ("shell", "instead"),
    [
        ("ruff check --fix .", "`ruff check` without `--fix`"),
        ("set -e; uv run ruff check --fix-only src && pytest", "`ruff check` without `--fix`"),
        ("ruff format .", "`ruff format --check`"),
        (".venv/bin/black .", "`black --check`"),
        ("python3 -m black src -q", "`black --check`"),
        ("isort .", "`isort --check-only`"),
        ("npx eslint --fix src", "`eslint` without `--fix`"),
        ("CI=1 npx prettier --write .", "`prettier --check`"),
        ("gofmt -w .", "`gofmt -l`"),
    ],
)
def test_it_corrects(shell: str, instead: str) -> None:
    assert only_checks(CommandLine(shell=shell)) == instead


def test_words_of_an_argv() -> None:
    assert only_checks(CommandLine(argv=("ruff", "check", "--fix"))) == "`ruff check` without `--fix`"


@pytest.mark.parametrize(
    "shell",
    [
        "ruff check .",
        "ruff check --diff --fix .",
        "ruff format --check .",
        "black --check .",
        "black . --diff",
        "isort -c .",
        "eslint src --max-warnings=0",
        "prettier --check .",
        'test -z "$(gofmt -l .)"',
        "pip install black && pytest",
        "echo ruff check --fix",
        "./fix --fix",
    ],
)
def test_it_checks(shell: str) -> None:
    assert only_checks(CommandLine(shell=shell)) == ""
