"""Plan by claude, design by codex, code by aider, review by codex and claude: each the real program, on a repository
with real tests. The first design has a flaw that the reviewers find in the code; a quota is used up in the middle;
the controller is killed while it waits; and every token that was served is counted once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.agents.world import bin_of
from tests.contract.cli_world import World, new_world, stage_of
from tests.model_server.script import Step
from tests.model_server.server import serving

HUMANIZE = Path(__file__).parents[3] / "demo" / "humanize"
_PIPELINE = """\
version: 1
agents:
  planner: {{use: claude, model: claude-sonnet-4-5, endpoint: "{base}", secrets: [ANTHROPIC_API_KEY]}}
  designer: {{use: codex, model: gpt-5, endpoint: "{base}", secrets: [OPENAI_API_KEY]}}
  coder: {{use: aider, model: openai/gpt-4o, endpoint: "{base}", secrets: [OPENAI_API_KEY]}}
  one: {{use: codex, model: gpt-5-mini, endpoint: "{base}", secrets: [OPENAI_API_KEY]}}
  other: {{use: claude, model: claude-opus-4-1, endpoint: "{base}", secrets: [ANTHROPIC_API_KEY]}}
stages:
  plan:
    agent: planner
    prompt: "{{{{ task }}}} SCENARIO:plan"
    writes: []
    produces:
      plan: {{file: plan.md, sections: [Plan]}}
  design:
    needs: [plan]
    agent: designer
    prompt: "{{% if feedback %}}SCENARIO:mend{{% else %}}SCENARIO:design{{% endif %}}"
    writes: []
    produces:
      design: {{file: design.md}}
    gates:
      - id: traced
        traces: {{of: plan/plan}}
  code:
    needs: [design]
    agent: coder
    prompt: "Do what the design says. SCENARIO:code"
    writes: [src/**]
    on_reject:
      - {{gate: review, reason: design, goto: design, max: 1}}
    gates:
      - id: test
        run: python3 -m pytest -q -p no:cacheprovider --junitxml "$REPORT" tests/test_lists.py
        report: junit
        env: [PYTHONPATH]
      - id: empty
        run: python3 -c 'import humanize; print(len(humanize.natural_list([])))' 2>/dev/null | grep -qx 0
        env: [PYTHONPATH]
      - id: review
        review: {{by: [one, other], preserves: [plan/plan]}}
"""
_KEPT = [{"id": "REQ-1", "status": "kept", "evidence": "src/humanize/lists.py"}]
_FLAW = {
    "file": "src/humanize/lists.py", "line": 1, "severity": "error", "reason": "design",
    "message": "the design does not say what an empty list is",
}  # fmt: skip
_VERDICT = {"findings": [], "earlier": [], "requirements": _KEPT}
_APPROVE = json.dumps({**_VERDICT, "verdict": "approve"})
_REVISE = json.dumps({**_VERDICT, "verdict": "revise", "findings": [_FLAW]})
_OLD = "    if len(items) == 1:\n"
_NEW = '    if not items:\n        return ""\n    if len(items) == 1:\n'


def _limited() -> Step:
    """Once: a quota that is there again a while after it was asked for, long enough to be seen waiting."""
    error = {"type": "usage_limit_reached", "message": "used up", "resets_at": "in 10 s"}
    return Step("status", json.dumps({"error": error}), code=429, times=1)


def _writes(stage: str, text: str) -> Step:
    return Step(
        "shell", f"mkdir -p .interlock/artifacts/{stage} && echo '{text}' > .interlock/artifacts/{stage}/{stage}.md"
    )


def _scenarios() -> dict[str, tuple[Step, ...]]:
    return {
        "plan": (_writes("plan", "# Plan\n\nREQ-1: an empty list is an empty string."), Step("say", "Planned.")),
        "design": (_writes("design", "REQ-1: somehow. SCENARIO:flawed"), Step("say", "Designed.")),
        "mend": (_limited(), _writes("design", "REQ-1: return early. SCENARIO:sound"), Step("say", "Mended.")),
        "code": (Step("edit", _NEW, "src/humanize/lists.py", _OLD),),
        "flawed": (Step("structured", _REVISE),),
        "sound": (Step("structured", _APPROVE),),
    }


@pytest.fixture
def files() -> dict[str, str]:
    paths = (path for path in HUMANIZE.rglob("*") if path.is_file() and path.suffix in (".py", ".toml", ".md"))
    return {str(path.relative_to(HUMANIZE)): path.read_text() for path in paths}


def _until(what: Callable[[], bool], words: str) -> None:
    for _ in range(600):
        if what():
            return
        time.sleep(0.1)
    pytest.fail(f"never: {words}")


def _attempts(view: dict[str, Any], stage: str) -> list[str]:
    return [f"{attempt['id']} {attempt['phase']}" for attempt in stage_of(view, stage)["attempts"]]


@pytest.mark.nightly
def test_four_programs_one_flaw_one_quota_one_kill(files: dict[str, str], tmp_path: Path) -> None:
    programs = [bin_of(name) for name in ("claude", "codex", "aider")]
    path = os.pathsep.join((*programs, os.environ["PATH"]))
    with serving(_scenarios()) as model:
        files["interlock.yaml"] = _PIPELINE.format(base=model.base)
        keys = {"ANTHROPIC_API_KEY": "sk-a", "OPENAI_API_KEY": "sk-o", "PYTHONPATH": "src"}
        world = new_world(tmp_path, files, PATH=path, PYTHONDONTWRITEBYTECODE="1", **keys)
        _killed_while_it_waits(world)
        asleep = world.show()
        assert _attempts(asleep, "design")[-1] == "design/2.1 errored"
        said = world.ask("resume", "--plain")
        assert said.code == 0, said.text
        view = world.show()
        served = sum(one.tokens_in + one.tokens_out for one in model.served)
    assert _attempts(view, "plan") == ["plan/1.1 accepted"]
    assert _attempts(view, "design") == ["design/1.1 accepted", "design/2.1 errored", "design/2.2 accepted"]
    assert _attempts(view, "code") == ["code/1.1 rejected", "code/2.1 accepted"]
    assert view["spent"]["tokens"] == served, said.text
    by_agent = {share["of"]: share["spent"]["tokens"] for share in view["costs"]["by_agent"]}
    assert by_agent.keys() == {"planner", "designer", "coder", "one + other"}
    assert sum(by_agent.values()) == served
    assert "    if not items:" in world.git("show", f"{view['branch']}:src/humanize/lists.py")
    assert shutil.which("aider", path=path)


def _killed_while_it_waits(world: World) -> None:
    controller = world.start("run", "--task", "Mend natural_list.", "--plain")
    try:
        _until(lambda: _sleeps(world), "the run waits for its quota")
    finally:
        controller.send_signal(signal.SIGKILL)
        controller.communicate(timeout=60)


def _sleeps(world: World) -> bool:
    listed = world.ask("list", "--json").json()
    runs = listed.get("runs") or []
    return any(run["phase"] == "sleeping" for run in runs)
