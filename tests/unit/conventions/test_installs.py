"""Which commands install the project itself as a copy."""

import pytest

from interlock.conventions.commands import installs_copy
from interlock.core.pipeline import CommandLine

COPIES = [
    "pip install .",
    "python3 -m venv .venv\n.venv/bin/python3 -m pip install -q pytest '.[test]'",
    '.venv/bin/pip install ".[test,docs]" -r requirements.txt',
    "pip install -r requirements.txt \\\n  ./packages/one",
    "uv pip install .",
    "uv venv && uv pip install --python .venv -r dev.txt .",
    "uv sync --frozen --no-editable",
    "pdm sync --no-editable",
    "pipx install .",
    "python setup.py install",
    "cargo install --path .",
    "pip install file:.",
]
NO_COPIES = [
    "pip install -e .",
    "pip install --editable '.[test]'",
    "pip install -r ./requirements.txt -c ./constraints.txt",
    "pip install pytest requests.extra",
    "pip install -t . requests",
    "python3 -m venv .venv; .venv/bin/pip install -q -e '.[dev]' pytest",
    "uv sync --frozen",
    "poetry install",
    "npm ci",
    "npm install .",
    "cp pip install; cd .",
    "echo 'pip install' && ls .",
]


@pytest.mark.parametrize("shell", COPIES)
def test_copies(shell: str) -> None:
    assert installs_copy(CommandLine(shell=shell))


@pytest.mark.parametrize("shell", NO_COPIES)
def test_no_copies(shell: str) -> None:
    assert not installs_copy(CommandLine(shell=shell))


def test_an_argv() -> None:
    assert installs_copy(CommandLine(argv=("pip", "install", ".[a b]")))
    assert not installs_copy(CommandLine(argv=("pip", "install", "-e", ".")))
