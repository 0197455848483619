"""The command that a brief names for a ready gate: it runs in a checkout as it stands, as the gate's own line does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.contract.sets.projects import NODE, PYTEST, RUST, UNITTEST, lay

from interlock.core.pipeline import CommandLine, Gate, GateKind
from interlock.pipelinefile.sets import resolve, short_command

DJANGO = {
    "manage.py": (
        "import sys\nimport django\nfrom django.conf import settings\nsettings.configure(INSTALLED_APPS=[])\n"
        "django.setup()\nfrom django.core.management import execute_from_command_line as run\nrun(sys.argv)\n"
    ),
    "tests/test_it.py": "import unittest\n\n\nclass It(unittest.TestCase):\n    def test_it(self):\n        pass\n",
}
APART = {**UNITTEST, "src/adder.py": UNITTEST["adder.py"]}
del APART["adder.py"], APART["tests/__init__.py"]
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
needs_cargo = pytest.mark.skipif(shutil.which("cargo") is None, reason="Cargo is not installed")


@pytest.mark.parametrize(
    ("used", "files", "command"),
    [
        ("python.test", PYTEST, "PYTHONPATH=src python3 -m pytest"),
        ("python.test", {**PYTEST, "src/__init__.py": ""}, "python3 -m pytest"),
        ("python.test", UNITTEST, "python3 -m unittest discover -s tests -t ."),
        ("python.test", APART, "PYTHONPATH=src python3 -m unittest discover -s tests -t tests"),
        ("python.test", DJANGO, "python3 manage.py test"),
        ("python.test", {**DJANGO, "src/app.py": ""}, "PYTHONPATH=src python3 manage.py test"),
        ("python.lint", PYTEST, "ruff check --no-fix --no-fix-only --no-cache ."),
        ("node.test", NODE, "node --test"),
    ],
)
def test_the_command_of_a_brief(tmp_path: Path, used: str, files: dict[str, str], command: str) -> None:
    assert short_command(gate_of(used, lay(tmp_path, files))) == command


@pytest.mark.parametrize(
    ("script", "packages", "command"),
    [
        ("node --test --import tsx test/*.ts", (), "node --test --import tsx test/*.ts"),
        ("NODE_OPTIONS=--experimental-vm-modules jest -b src", ("jest",),
         "NODE_OPTIONS=--experimental-vm-modules npx jest src"),
        ("vitest --coverage", ("vitest",), "npx vitest run --coverage"),
        ("mocha --require ts-node/register -R dot", ("mocha",), "npx mocha --require ts-node/register"),
        ("c8 mocha", ("mocha", "c8"), "npx mocha"),
        ("tsc && mocha", ("mocha",), "npm test"),
    ],
)  # fmt: skip
def test_the_command_of_a_test_script(tmp_path: Path, script: str, packages: tuple[str, ...], command: str) -> None:
    content = {"scripts": {"test": script}, "devDependencies": dict.fromkeys(packages, "*")}
    gate = gate_of("node.test", lay(tmp_path, {"package.json": json.dumps(content)}))
    assert short_command(gate) == command


@pytest.mark.parametrize(
    ("used", "files"),
    [
        ("python.test", PYTEST),
        ("python.test", UNITTEST),
        ("python.test", APART),
        pytest.param("node.test", NODE, marks=needs_node),
        pytest.param("rust.test", RUST, marks=needs_cargo),
    ],
)
def test_it_works_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: str, files: dict[str, str]
) -> None:
    if used == "rust.test":  # toolchains lie below the user's own home
        monkeypatch.setenv("HOME", str(Path(shutil.which("cargo") or "").parent.parent.parent))
    project = lay(tmp_path / "project", files)
    (tmp_path / "home").mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    line = short_command(gate_of(used, project))
    ran = subprocess.run(["bash", "-c", line], cwd=project, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"


def gate_of(used: str, folder: Path) -> Gate:
    ready = resolve(used, folder)
    return Gate("test", GateKind.RUN, command=CommandLine(shell=ready.run), canary=ready.canary, used=used)
