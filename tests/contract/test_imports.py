"""What `list`, `status` and `show` must not load: they are asked often, and time is spent on what they import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract.cli_world import new_world

# Python's HTTP client and its mail parser, YAML, and whatever only a run at work needs.
NEVER = (
    "asyncio", "email", "http.client", "jsonschema", "minijinja", "pydantic", "rich", "ssl", "temporalio",
    "urllib.request", "yaml",
    "interlock.agents", "interlock.engines", "interlock.gates.referee", "interlock.notify", "interlock.telemetry",
    "interlock.workspaces",
)  # fmt: skip


# What judges, and is imported where something is judged.
NOT_BY_KINDS = (*NEVER, "concurrent.futures", "interlock.process")


def test_the_kinds_of_gates_load_little() -> None:
    """Each verb that reads a recorded pipeline may load them."""
    asked = "import sys; from interlock.gates.kinds import all_kinds; all_kinds(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "interlock.gates.kinds.review" in loaded
    assert sorted(set(NOT_BY_KINDS) & set(loaded)) == []


@pytest.mark.parametrize("verb", ["list", "status", "show"])
def test_what_only_looks_loads_little(verb: str, tmp_path: Path) -> None:
    """In a repository without a run, where each says so after it has loaded all of its modules but its page."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    asked = f"import sys; from interlock.cli.app import call; call([{verb!r}]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "interlock.cli.verbs.runs" in loaded, done.stderr
    assert sorted(set(NEVER) & set(loaded)) == []


def test_a_run_of_this_machine_is_shown_without_the_client_of_any_server(tmp_path: Path) -> None:
    stages = 'stages: {a: {run: "echo 1 > a.txt"}}'
    world = new_world(tmp_path, {"interlock.yaml": f"version: 1\n{stages}\n"})
    world.ask("run", "--plain", "-t", "x").ended(0)
    asked = "import sys; from interlock.cli.app import call; call(['status']); print(*sys.modules)"
    argv = [sys.executable, "-c", asked]
    done = subprocess.run(argv, cwd=world.repository, env=world.environment(), capture_output=True, check=True)
    assert b"accepted" in done.stdout, done.stderr
    assert {"asyncio", "interlock.engines", "temporalio"}.isdisjoint(done.stdout.decode().split())
