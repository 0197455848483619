"""Where the real programs are, and one attempt with one of them."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from interlock.agents import adapters
from interlock.conventions.programs import PROGRAMS
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout, Outcome, Sandbox

AS_ASKED = Sandbox(os.environ.get("INTERLOCK_SANDBOX", "none"))

INSTALL_S = 300.0
_INSTALLING = os.environ.get("AGENTS_INSTALLING", "")  # a file that is there while .ci/run installs them
_CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache")
_VERSIONS = {
    **{program.name: program.tested for program in PROGRAMS},
    "codex-acp": "2.6.0",
    "claude-agent-acp": "0.101.0",
    "mcp-inspector": "0.15.0",
}
KEYS = {
    "codex": "OPENAI_API_KEY",
    "claude": "ANTHROPIC_API_KEY",
    "aider": "OPENAI_API_KEY",
    "mini": "OPENAI_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "opencode": "OPENAI_API_KEY",
    "goose": "OPENAI_API_KEY",
    "qwen": "OPENAI_API_KEY",
}
MODELS = {
    "codex": "gpt-5",
    "claude": "claude-sonnet-4-5",
    "aider": "openai/gpt-4o",
    "mini": "openai/small",
    "gemini": "gemini-2.5-pro",
    "opencode": "small",
    "goose": "small",
    "qwen": "small",
}


def bin_of(name: str) -> str:
    """The folder of the installed program, once .ci/run has installed them. Skips the test if it is not there."""
    until = time.monotonic() + INSTALL_S
    while _INSTALLING and Path(_INSTALLING).exists() and time.monotonic() < until:
        time.sleep(0.5)
    folder = Path(_CACHE) / "interlock-agents" / name / _VERSIONS[name]
    if not (folder / "installed").exists():
        pytest.skip(f"{name} {_VERSIONS[name]} is not installed: scripts/agents {name}")
    return str(folder / "bin")


def checkout_in(folder: Path, sandbox: Sandbox = AS_ASKED) -> Checkout:
    checkout = Checkout(folder, folder / "tree", folder / "home", folder / "tmp", sandbox=sandbox)
    for one in (checkout.tree, checkout.home, checkout.tmp):
        one.mkdir(parents=True)
    (checkout.tree / "a.txt").write_text("one\n")
    subprocess.run(["git", "init", "-q", str(checkout.tree)], check=True)
    subprocess.run(["git", "-C", str(checkout.tree), "add", "a.txt"], check=True)
    return checkout


def work(
    name: str,
    base: str,
    scenario: str,
    checkout: Checkout,
    *,
    timeout_s: int = 60,
    idle_s: int = 0,
    schema: str = "",
    before: str = "",
    times: int = 1,
    more: Mapping[str, str] | None = None,
    hosts: tuple[str, ...] | None = None,
    **options: object,
) -> Outcome:
    env = {
        "PATH": f"{bin_of(name)}:{os.environ['PATH']}", "HOME": checkout.seen(checkout.home),
        "TMPDIR": checkout.seen(checkout.tmp), KEYS[name]: "sk-test", **(more or {}),
    }  # fmt: skip
    asked = f"{before * times}Please do it. SCENARIO:{scenario}"
    brief = Brief(
        "r",
        AttemptId("code", 1, 1),
        asked,
        asked,
        MODELS[name],
        env,
        timeout_s,
        idle_s,
        answer_schema=schema,
        hosts=hosts,
    )
    spec = AgentSpec(
        "own",
        name,
        model=MODELS[name],
        secrets=(KEYS[name],),
        options=tuple((key, json.dumps(value)) for key, value in {"endpoint": base, **options}.items()),
    )
    return adapters(os.environ)[name].work(spec, brief, checkout, threading.Event())
