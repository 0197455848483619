"""A model without a program, through four APIs: documents and verdicts, reading within bounds, and failures."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from tests.contract.cli_world import new_world, stage_of
from tests.model_server.script import Step
from tests.model_server.server import ModelServer, serving
from tests.nightly import rest_at_night

from interlock.agents import adapters
from interlock.agents.bundled.model import NotReadable, Reader
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.gates.reviews.answers import AnswerRequirements, read, schema
from interlock.ports import Brief, Checkout, Ended, Outcome

MODELS = {
    "openai:gpt-5": "OPENAI_API_KEY", "openai-responses:gpt-5": "OPENAI_API_KEY",
    "anthropic:claude-sonnet-4-5": "ANTHROPIC_API_KEY", "google:gemini-2.5-pro": "GEMINI_API_KEY",
}  # fmt: skip
_APPROVE = json.dumps({"verdict": "approve", "findings": [], "earlier": [], "requirements": []})
_ERROR = '{"type": "error", "error": {"type": "x", "message": "no"}}'
SCENARIOS = {
    "plan": (Step("tool", '{"file": "a.txt"}', "read_file"), Step("say", "# Plan\n\nREQ-1: two\n")),
    "write": (Step("tool", '{"name": "plan.md", "content": "# Written"}', "write_document"), Step("say", "Done.")),
    "stray": (Step("tool", '{"name": "../a.txt", "content": "x"}', "write_document"), Step("say", "# After all")),
    "outside": (Step("tool", '{"file": "../../../../etc/hostname"}', "read_file"), Step("say", "# Outside")),
    "approve": (Step("say", _APPROVE),),
    "key": (Step("status", _ERROR, code=401),),
    "limit": (Step("status", _ERROR, code=429, headers={"retry-after": "300"}),),
    "down": (Step("status", _ERROR, code=500),),
    "hang": (Step("hang"),),
    "garbage": (Step("garbage"),),
}


first_at_each_push = pytest.mark.parametrize("name", rest_at_night([*MODELS]), indirect=True)


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def work(
    name: str, model: ModelServer, scenario: str, checkout: Checkout, *, timeout_s: int = 60, review: bool = False
) -> Outcome:
    artifacts = checkout.tree / ".interlock" / "artifacts" / "plan"
    env = {
        "PATH": os.environ["PATH"], "HOME": str(checkout.home), "TMPDIR": str(checkout.tmp), MODELS[name]: "sk-test",
        "ARTIFACTS": str(artifacts), "ARTIFACT_PLAN_PLAN": str(artifacts / "plan.md"),
    }  # fmt: skip
    asked = f"Please do it. SCENARIO:{scenario}"
    brief = Brief(
        "r", AttemptId("plan", 1, 1), asked, asked, name, env, timeout_s, 0, answer_schema=schema() if review else ""
    )
    spec = AgentSpec("own", "model", model=name, options=(("endpoint", json.dumps(model.base)),))
    return adapters(os.environ)["model"].work(spec, brief, checkout, threading.Event())


def plan(checkout: Checkout) -> str:
    return (checkout.tree / ".interlock/artifacts/plan/plan.md").read_text()


def test_the_answer_is_the_only_document_and_tokens_are_what_was_served(
    name: str, model: ModelServer, checkout: Checkout
) -> None:
    before = model.tokens("plan")
    outcome = work(name, model, "plan", checkout)
    assert outcome.ended is Ended.COMPLETED, outcome
    assert plan(checkout) == "# Plan\n\nREQ-1: two\n"
    served = tuple(now - then for now, then in zip(model.tokens("plan"), before, strict=True))
    assert (outcome.usage.tokens_in, outcome.usage.tokens_out, outcome.usage.tokens_cached) == served
    assert "1: one" in model.requests[-1][1]  # it has read the file
    assert (checkout.tree / "a.txt").read_text() == "one\n"


def test_a_document_may_be_written_with_a_tool_and_nothing_else(model: ModelServer, checkout: Checkout) -> None:
    work("openai:gpt-5", model, "write", checkout)
    assert plan(checkout) == "# Written"
    work("openai:gpt-5", model, "stray", checkout)
    assert plan(checkout) == "# After all"
    assert (checkout.tree / "a.txt").read_text() == "one\n"


def test_nothing_outside_is_read(model: ModelServer, checkout: Checkout) -> None:
    work("openai:gpt-5", model, "outside", checkout)
    assert "outside of the checkout" in model.requests[-1][1]


@first_at_each_push
def test_a_review_is_answered_and_writes_nothing(name: str, model: ModelServer, checkout: Checkout) -> None:
    outcome = work(name, model, "approve", checkout, review=True)
    assert read(outcome.answer, AnswerRequirements("own", (), ())).decision == "approve"
    assert not (checkout.tree / ".interlock/artifacts/plan/plan.md").exists()


@first_at_each_push
@pytest.mark.parametrize(
    ("scenario", "ended", "permanent"),
    [("key", Ended.UNAVAILABLE, True), ("limit", Ended.RATE_LIMITED, False), ("down", Ended.UNAVAILABLE, False)],
)
def test_a_failing_model(
    name: str, model: ModelServer, checkout: Checkout, scenario: str, ended: Ended, permanent: bool
) -> None:
    asked = len(model.requests)
    outcome = work(name, model, scenario, checkout)
    assert (outcome.ended, outcome.permanent) == (ended, permanent), outcome
    assert len(model.requests) == asked + 1  # it asks once
    if scenario == "limit" and not name.startswith("google"):
        assert 0 < outcome.retry_at - time.time() <= 300


@first_at_each_push
def test_garbage_is_no_success_and_a_hang_is_a_timeout(name: str, model: ModelServer, checkout: Checkout) -> None:
    assert work(name, model, "garbage", checkout).ended is not Ended.COMPLETED
    assert work(name, model, "hang", checkout, timeout_s=8).ended is Ended.TIMED_OUT


def test_without_a_key_it_says_which(model: ModelServer, checkout: Checkout) -> None:
    spec = AgentSpec("own", "model", model="openai:gpt-5")
    env = {"PATH": os.environ["PATH"], "HOME": str(checkout.home)}
    brief = Brief("r", AttemptId("plan", 1, 1), "x", "x", "openai:gpt-5", env, 60, 0)
    outcome = adapters(os.environ)["model"].work(spec, brief, checkout, threading.Event())
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, True)
    assert "OPENAI_API_KEY is not set" in outcome.message


def test_the_checkout_cannot_replace_what_the_program_imports(model: ModelServer, checkout: Checkout) -> None:
    (checkout.tree / "json.py").write_text("raise SystemExit('taken over')\n")
    (checkout.tree / "pydantic_ai.py").write_text("raise SystemExit('taken over')\n")
    assert work("openai:gpt-5", model, "plan", checkout).ended is Ended.COMPLETED


def test_a_reader_stays_in_its_tree(tmp_path: Path) -> None:
    tree = (tmp_path / "tree").resolve()
    (tree / "src").mkdir(parents=True)
    (tree / ".git").mkdir()
    (tree / ".git" / "config").write_text("token")
    (tree / "src" / "a.py").write_text("one\ntwo\n")
    (tree / "bin").write_bytes(b"\0two")
    (tmp_path / "secret").write_text("two")
    (tree / "link").symlink_to(tmp_path / "secret")
    (tree / "out").symlink_to(tmp_path)
    reader = Reader(tree)
    assert reader.files() == ["bin", "link", "src/a.py"]
    assert reader.lines("src/a.py", 2) == "2: two"
    assert reader.search("two") == ["src/a.py:2: two"]
    for wrong in ("link", "out/secret", ".git/config", "../secret", "/etc/hostname", "bin", "none"):
        with pytest.raises(NotReadable):
            reader.lines(wrong)


_PIPELINE = """\
version: 1
agents:
  thinker: {{use: model, model: "anthropic:claude-sonnet-4-5", endpoint: "{base}", secrets: [ANTHROPIC_API_KEY]}}
  critic: {{use: model, model: "openai:gpt-5", endpoint: "{critic}", secrets: [OPENAI_API_KEY]}}
stages:
  plan:
    agent: thinker
    prompt: "SCENARIO:plan"
    writes: []
    produces:
      plan: {{file: plan.md, sections: [Plan]}}
    gates:
      - {{id: review, review: {{by: [critic], rubric: "Is it a plan?"}}}}
"""


def test_a_plan_by_one_model_is_reviewed_by_another(tmp_path: Path) -> None:
    approves = dict.fromkeys(("plan", ""), SCENARIOS["approve"])
    with serving(SCENARIOS) as model, serving(approves) as critic:
        pipeline = _PIPELINE.format(base=model.base, critic=critic.base)
        world = new_world(
            tmp_path, {"a.txt": "one\n", "interlock.yaml": pipeline}, ANTHROPIC_API_KEY="sk-a", OPENAI_API_KEY="sk-o"
        )
        said = world.ask("run", "-t", "Plan it.", "--plain")
        assert said.code == 0, said.text
        view = world.show()
        served = sum(one.tokens_in + one.tokens_out for one in (*model.served, *critic.served))
    assert stage_of(view, "plan")["phase"] == "accepted"
    assert view["spent"]["tokens"] == served
