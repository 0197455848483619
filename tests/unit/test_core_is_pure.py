"""The core, and what it stands on, import the standard library and each other, and nothing that touches the world."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import interlock.core

ALLOWED = {
    "__future__", "ast", "base64", "bisect", "collections", "dataclasses", "enum", "functools", "graphlib", "hashlib",
    "heapq", "html", "itertools", "json", "math", "operator", "re", "shlex", "string", "textwrap", "types", "typing",
}  # fmt: skip
TRAVELS = (
    "interlock.core.plan", "interlock.core.admission", "interlock.core.fold", "interlock.core.wire",
    "interlock.core.facts", "interlock.core.inbox", "interlock.engines.reconcile",
)  # fmt: skip
# What reads records, and checks what is said to a run: with the words of the ports, and none of their adapters.
READS = ("interlock.journal.codec", "interlock.pipelinefile.codec", "interlock.service.answers")
PURE = ("interlock.core", "interlock.text", "interlock.conventions", "interlock.readmodel")
OF_A_MACHINE = {
    "apsw", "sqlite3", "subprocess", "socket", "fcntl", "tempfile", "shutil", "ssl", "yaml", "pydantic", "minijinja",
}  # fmt: skip


def test_core_imports_only_what_is_pure() -> None:
    folder = Path(interlock.core.__file__).parent
    strays = {
        f"{path.name}: {name}"
        for path in sorted(folder.rglob("*.py"))
        for name in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] not in ALLOWED and not name.startswith(("interlock.core", "interlock.text"))
    }
    assert strays == set()


def test_what_decides_and_what_travels_needs_nothing_of_one_machine() -> None:
    """The planner, admission, the fold, `reconcile` and the codecs: no journal, no SQLite, no threads, no processes."""
    loaded = _loaded_by(TRAVELS)
    ours = {name for name in loaded if name.startswith("interlock") and not name.startswith(PURE)}
    assert ours == {"interlock", "interlock.engines", "interlock.engines.reconcile"}
    assert loaded & {*OF_A_MACHINE, "threading"} == set()


@pytest.mark.parametrize("module", READS)
def test_what_reads_a_record_or_an_answer_needs_no_journal_and_starts_nothing(module: str) -> None:
    loaded = _loaded_by((module,))
    assert loaded & OF_A_MACHINE == set()
    strays = {
        name for name in loaded if name.startswith("interlock.") and not name.startswith((*PURE, "interlock.ports"))
    }
    assert {name.partition(".")[2].partition(".")[0] for name in strays} == {module.split(".")[1]}


def _loaded_by(modules: tuple[str, ...]) -> set[str]:
    program = f"import sys; before = set(sys.modules); import {', '.join(modules)}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            names.update(alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            names.add(found.module or "")
    return names
