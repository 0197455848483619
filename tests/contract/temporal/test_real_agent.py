"""codex on the scripted model server, at work on two machines at once."""

from __future__ import annotations

import os
from pathlib import Path

from tests.contract.agents.world import bin_of
from tests.contract.cli_world import stage_of
from tests.contract.temporal.world import Server, cluster_in, run_on
from tests.model_server.script import Step
from tests.model_server.server import serving

_PIPELINE = """\
version: 1
agents:
  coder: {{use: codex, model: gpt-5, endpoint: "{base}/v1", secrets: [OPENAI_API_KEY]}}
stages:
  one: {{agent: coder, prompt: "Edit. SCENARIO:one", writes: [a.txt], gates: [{{id: g, run: "grep -q two a.txt"}}]}}
  two: {{agent: coder, prompt: "Edit. SCENARIO:two", writes: [b.txt], gates: [{{id: g, run: "grep -q two b.txt"}}]}}
  both: {{needs: [one, two]}}
"""
_SCENARIOS = {
    "one": (Step("edit", "two\n", "a.txt", "one\n"), Step("say", "Done.")),
    "two": (Step("edit", "two\n", "b.txt", "one\n"), Step("say", "Done.")),
}


def test_codex_works_on_two_machines(tmp_path: Path, server: Server) -> None:
    environ = {"PATH": os.pathsep.join((bin_of("codex"), os.environ["PATH"])), "OPENAI_API_KEY": "sk-o"}
    with serving(_SCENARIOS) as model, cluster_in(tmp_path / "many", server, without="worker") as many:
        for name in ("left", "right"):
            many.start(name, "--slots", "1", **environ)
        files = {"a.txt": "one\n", "b.txt": "one\n", "interlock.yaml": _PIPELINE.format(base=model.base)}
        far = many.submitter(tmp_path / "far", files)
        run = run_on(far)
        view = far.show(run)
        assert {name: stage_of(view, name)["phase"] for name in ("one", "two", "both")} == dict.fromkeys(
            ("one", "two", "both"), "accepted"
        )
        assert view["spent"]["tokens"] == sum(sum(model.tokens(name)[:2]) for name in _SCENARIOS)
        assert far.git("show", f"interlock/{run}:a.txt", f"interlock/{run}:b.txt") == "two\ntwo"
        for name in ("left", "right"):  # each has made one of the candidates
            store = many.root / name / "state/interlock/worker/store.git"
            assert len(far.git(f"--git-dir={store}", "for-each-ref", f"refs/interlock/{run}").splitlines()) == 1
