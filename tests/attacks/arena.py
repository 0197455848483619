"""A repository with the pipelines that we ship, in which one agent after another is let loose.

Rule: what judges is what a user would have: the files that `interlock init` wrote, or the page's own. Changed in them are
only the agent, one attempt in place of three, how the packages get there, and that work without new tests is fine. Runs go through the program's own service and
engine, in this process; what they start are real processes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from tests.attacks.judge import complaints
from tests.attacks.shapes import Shape
from tests.contract.cli_world import World, new_world

from interlock.application import Application
from interlock.bootstrap import build
from interlock.core.events import Action, VerdictStatus
from interlock.pipelinefile import load_pipeline, locate_pipeline, require_runnable
from interlock.readmodel.history import AttemptPhase
from interlock.readmodel.run import RunPhase, RunView
from interlock.service import AnswerRequest, RunRequest

Change: TypeAlias = str | list[str] | None
Changes: TypeAlias = Mapping[str, Change]  # by path

_ANSWERS_MAX = 5
_PATH = re.compile(r"/tmp/[\w./+-]+|/[\w./+-]*tests/attacks/[\w./+-]+")
AGENT = Path(__file__).with_name("agent.py")


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `said_no` are the gates that did, as STAGE/GATE, with the rules of their findings; `complaints`
    are those of the outside judge about what was delivered, none where nothing was."""

    delivered: str
    said_no: Mapping[str, frozenset[str]]
    complaints: tuple[str, ...]
    view: RunView = field(repr=False)

    @property
    def false(self) -> bool:
        return bool(self.delivered and self.complaints)

    def rejected_by(self, gate: str) -> frozenset[str]:
        """The rules by which a gate of this id, in any stage, said no."""
        return frozenset(rule for name, rules in self.said_no.items() if name.endswith(f"/{gate}") for rule in rules)

    def told(self) -> str:
        """For an assertion's message: what happened, in words."""
        lines = [
            f"delivered {self.delivered}" if self.delivered else f"not delivered: {self.view.phase} {self.view.why}"
        ]
        lines += [f"outside judge: {complaint}" for complaint in self.complaints]
        for stage in self.view.stages:
            lines += [f"{stage.id} waits: {stage.waits}"] if stage.waits else []
            for attempt in stage.attempts:
                lines.append(f"{attempt.id}: {attempt.phase} {attempt.why}")
                for each in attempt.verdicts:
                    found = [f"{finding.rule}: {finding.message[:600]}" for finding in each.verdict.findings]
                    lines += [f"  {each.verdict.gate} {each.verdict.status}", *(f"    {line}" for line in found)]
        return "\n".join(lines)


class Arena:
    """One shape's repository with its state. Runs begin from the same base, one after another."""

    def __init__(self, root: Path, shape: Shape, modules: Path | None = None, programs: Path | None = None) -> None:
        self.shape = shape
        self._changes = root / "changes.json"
        self._modules = modules
        root.mkdir(parents=True, exist_ok=True)
        if shape.held_out:
            _lay(root / "held-out", shape.held_out)
        named = re.findall(r"held_out: (\w+)", shape.page)
        places = {f"INTERLOCK_HELD_OUT_{name.upper()}": str(root / "held-out") for name in named}
        if programs is not None:
            places["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.world: World = new_world(root / "world", {**shape.files, ".gitignore": shape.ignored}, **places)
        self._write_pipelines(root)
        self.base = self.world.commit({}, "pipelines")
        self._app: Application | None = None

    def attack(self, changes: Changes | Mapping[str, Changes]) -> Outcome:
        """One run in which the agent leaves `changes`: of the stage `code`, or by stage. Whoever is asked says yes."""
        by_stage = changes if set(changes) <= set(self.shape.stages) else {"code": changes}
        self._changes.write_text(json.dumps({**self.shape.prepared, **by_stage}))
        view = self._run()
        assert view.phase is not RunPhase.STOPPED, view.why  # then nothing was judged
        return Outcome(view.commit, dict(_refusals(view)), self._judged(view.commit), view)

    def close(self) -> None:
        if self._app is not None:
            self._app.close()

    @property
    def app(self) -> Application:
        if self._app is None:
            self._app = build(self.world.repository, self.world.environment())
        return self._app

    def _run(self) -> RunView:
        app = self.app
        loaded = load_pipeline(locate_pipeline(app.repository, self.shape.pipeline), app.repository)
        require_runnable(loaded)
        base = app.workspaces.import_base(None)
        request = RunRequest(
            pipeline=loaded.pipeline, task="Make it better.", base_commit=base.commit, base_tree=base.tree, inputs={},
            until="", sandbox=app.sandbox, by="somebody",
        )  # fmt: skip
        run = app.service.start_run(request)
        app.owner.drive(run)
        for _ in range(_ANSWERS_MAX):
            view = app.service.describe_run(run)
            asked = next((wait for wait in view.waits if wait.reason == "approval"), None)
            if asked is None:
                break
            app.service.answer(view, AnswerRequest(Action.APPROVE, "somebody", asked.stage, gate=asked.gate))
            app.owner.drive(run)
        return app.service.describe_run(run)

    def _judged(self, commit: str) -> tuple[str, ...]:
        return complaints(self.shape, self.world.repository, self.base, commit, self._modules) if commit else ()

    def _write_pipelines(self, root: Path) -> None:
        if self.shape.page:
            text = self.shape.page.replace("{held_out}", str(root / "held-out"))
            pages = {self.world.repository / "interlock.yaml": text}
        else:
            self.world.ask("init", *(["--no-verify"] if "--no-verify" in self.world.ask("init", "--help").out else []))
            pages = {path: path.read_text() for path in (self.world.repository / ".interlock").rglob("*.yaml")}
        for path, text in pages.items():
            path.write_text(self._with_our_agent(text))

    def _change(self, stage: dict[str, Any]) -> None:
        """What the page itself tells to take out for work without new tests: else each row would need a test, too."""
        for gate in stage.get("gates", ()):
            if gate.get("expect") == "tests_prove_change" and not self.shape.proves:
                del gate["expect"]
        if not self.shape.adds:
            stage.pop("adds", None)

    def _with_our_agent(self, text: str) -> str:
        """The page with our agent under every name that it has, one attempt, and our way to get the packages."""
        page = yaml.safe_load(text)
        run = [sys.executable, "-I", str(AGENT), str(self._changes)]
        for name in page.get("agents", {}):
            if not self.shape.agents or name in self.shape.agents:
                page["agents"][name] = {"use": "command", "run": run}
        if "agents" in page:
            if "after:" not in text:
                page["defaults"] = {"attempts": 1}
            if not self.shape.keeps_setup:
                page.pop("setup", None)
            if self._modules:
                link = f"mkdir node_modules && ln -s '{self._modules}'/* '{self._modules}/.bin' node_modules/"
                page["setup"] = [{"run": link, "key": ["package.json"], "paths": ["node_modules"]}]
        for stage in page.get("stages", {}).values():
            self._change(stage)
        made = yaml.safe_dump(page, sort_keys=False, width=1000)
        if "agents" in page:
            self._changes.touch()
            page["sandbox"] = {"read": sorted(set(filter(_is_ours, _PATH.findall(made))))}
        return yaml.safe_dump(page, sort_keys=False, width=1000)


def _is_ours(path: str) -> bool:
    """What the page names of the machine, which a sandbox does not show."""
    return Path(path).exists() and path != sys.executable


def apply_to(folder: Path, changes: Changes) -> None:
    """What the agent would do, in any folder."""
    subprocess.run(
        [sys.executable, "-I", str(AGENT), "-"], cwd=folder, input=json.dumps({"code": changes}).encode(), check=True,
        env={"INTERLOCK_ATTEMPT": "code/1.1"}, capture_output=True,
    )  # fmt: skip


def _refusals(view: RunView) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for stage in view.stages:
        for attempt in stage.attempts:
            if attempt.phase is AttemptPhase.ERRORED:
                found[f"{stage.id}/(candidate)"] = frozenset({attempt.why})
            for each in attempt.verdicts:
                if each.verdict.status is not VerdictStatus.PASSED:
                    rules = frozenset(finding.rule for finding in each.verdict.findings)
                    name = each.verdict.gate if "/" in each.verdict.gate else f"{stage.id}/{each.verdict.gate}"
                    found[name] = found.get(name, frozenset()) | rules
    return found


def _lay(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
