"""The core, and what it stands on, import the standard library and each other, and nothing that touches the world."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import interlock.core

ALLOWED = {
    "__future__", "ast", "base64", "bisect", "collections", "dataclasses", "enum", "functools", "graphlib", "hashlib",
    "heapq", "html", "itertools", "json", "math", "operator", "re", "shlex", "string", "textwrap", "types", "typing",
}  # fmt: skip
TRAVELS = (
    "interlock.core.plan", "interlock.core.admission", "interlock.core.fold", "interlock.core.wire",
    "interlock.engines.reconcile",
)  # fmt: skip


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
    program = f"""
import sys
before = set(sys.modules)
import {", ".join(TRAVELS)}
loaded = set(sys.modules) - before
ours = [name for name in loaded if name.startswith("interlock")]
print(*sorted(name for name in ours if not name.startswith(("interlock.core", "interlock.text"))))
print(*sorted(loaded & {{"apsw", "sqlite3", "threading", "subprocess", "socket", "fcntl", "tempfile", "shutil"}}))
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    ours, machine = done.stdout.splitlines()
    assert ours.split() == ["interlock", "interlock.engines", "interlock.engines.reconcile"]
    assert machine.split() == []


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            names.update(alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            names.add(found.module or "")
    return names
