"""The real programs against the scripted model server: work, faults, refusals, and what they leave running."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from tests.contract.agents.world import KEYS, bin_of, checkout_in, work
from tests.model_server.script import Step
from tests.model_server.server import ModelServer, serving

from interlock.agents import retries
from interlock.gates.reviews.answers import AnswerRequirements, NoAnswer, read, schema
from interlock.ports import Checkout, Ended

_ERROR = '{"type": "error", "error": {"type": "%s", "message": "%s"}}'
_TRY_AGAIN = ("aider", "goose", "opencode", "qwen")  # until they are stopped
_DONE = Step("say", "All done.")
_RESET = int(time.time()) + 3600
_USED_UP = json.dumps({"error": {"type": "usage_limit_reached", "message": "used up", "resets_at": _RESET}})
_LIMITED = Step(
    "status",
    _ERROR % ("rate_limit_error", "Rate limit reached. Please try again in 300s."),
    code=429,
    headers={"retry-after": "300"},
)
_APPROVE = {"verdict": "approve", "findings": [], "earlier": [], "requirements": []}
_FINDING = {"severity": "error", "file": "a.txt", "line": 1, "message": "It is one.", "reason": "code"}
SCENARIOS = {
    "edit": (Step("edit", "two\n", "a.txt", "one\n"), _DONE),
    "nothing": (_DONE,),
    "refuse": (Step("refuse", "I will not do that."),),
    "down": (Step("status", _ERROR % ("api_error", "Internal server error"), code=500),),
    "key": (Step("status", _ERROR % ("authentication_error", "invalid api key"), code=401),),
    "limit": (_LIMITED,),
    "used-up": (Step("status", _USED_UP, code=429),),
    "hang": (Step("hang"),),
    "cut": (Step("cut"),),
    "garbage": (Step("garbage"),),
    "approve": (Step("structured", json.dumps(_APPROVE)),),
    "revise": (Step("structured", json.dumps({**_APPROVE, "verdict": "revise", "findings": [_FINDING]}, indent=2)),),
    "prose": (Step("say", "APPROVE. It is fine."),),
    "daemon": (Step("shell", "setsid nohup sleep 987 >/dev/null 2>&1 & echo $! > pid"), _DONE),
}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit without a time is waited for in short steps."""
    monkeypatch.setattr(retries, "_LIMITED_S", 8.0)


def test_a_real_edit_and_tokens_to_the_digit(name: str, model: ModelServer, checkout: Checkout) -> None:
    before = model.tokens("edit")
    outcome = work(name, model.base, "edit", checkout)
    assert outcome.ended is Ended.COMPLETED, outcome
    assert name in ("aider", "mini") or outcome.message == "All done."
    assert (checkout.tree / "a.txt").read_text() == "two\n"
    served = tuple(now - then for now, then in zip(model.tokens("edit"), before, strict=True))
    assert (outcome.usage.tokens_in, outcome.usage.tokens_out) == served[:2]
    assert outcome.usage.tokens_cached == (None if name in ("aider", "goose") else served[2])
    assert name == "goose" or outcome.session or outcome.transcript
    assert sorted(path.name for path in checkout.tree.iterdir()) == [".git", "a.txt"]


def test_a_price_makes_the_cost_known_where_the_program_tells_none(model: ModelServer, checkout: Checkout) -> None:
    unknown = work("codex", model.base, "nothing", checkout_in(checkout.root / "other"))
    assert unknown.usage.cost_usd is None
    used = work("codex", model.base, "nothing", checkout, price={"input": 2, "output": 10, "cached": 1}).usage
    assert used.tokens_in is not None
    assert used.tokens_out is not None
    cached = used.tokens_cached or 0
    whole = (used.tokens_in - cached) * 2 + cached + used.tokens_out * 10
    assert used.cost_usd == pytest.approx(whole / 1_000_000)
    assert used.cost_usd


def test_no_change_at_all_is_completed_and_changes_nothing(name: str, model: ModelServer, checkout: Checkout) -> None:
    assert work(name, model.base, "nothing", checkout).ended is Ended.COMPLETED
    assert (checkout.tree / "a.txt").read_text() == "one\n"


@pytest.mark.parametrize(
    ("scenario", "ended", "permanent"),
    [
        ("down", Ended.UNAVAILABLE, False),
        ("key", Ended.UNAVAILABLE, True),
        ("limit", Ended.RATE_LIMITED, False),
        ("cut", Ended.UNAVAILABLE, False),
    ],
)
def test_a_failing_model(
    name: str, model: ModelServer, checkout: Checkout, scenario: str, ended: Ended, permanent: bool
) -> None:
    outcome = work(name, model.base, scenario, checkout, timeout_s=20 if name in _TRY_AGAIN else 60)
    assert (outcome.ended, outcome.permanent) == (ended, permanent), outcome
    if permanent:
        assert f"the key in {KEYS[name]} was refused: set a valid one, then `interlock resume`; it" in outcome.message


def test_the_time_that_the_provider_named_is_handed_on(model: ModelServer, tmp_path: Path) -> None:
    told = work("codex", model.base, "used-up", checkout_in(tmp_path / "codex"))
    assert told.ended is Ended.RATE_LIMITED, told
    assert 0 < told.retry_at - _RESET <= 60
    told = work("claude", model.base, "limit", checkout_in(tmp_path / "claude"))
    assert 0 < told.retry_at - time.time() <= 300


def test_a_refusal_is_no_success(model: ModelServer, checkout: Checkout) -> None:
    assert work("claude", model.base, "refuse", checkout).ended is Ended.REFUSED


def test_a_model_that_never_answers_is_a_timeout(name: str, model: ModelServer, checkout: Checkout) -> None:
    assert work(name, model.base, "hang", checkout, timeout_s=4).ended is Ended.TIMED_OUT


@pytest.mark.parametrize("name", ["aider", "mini"])
def test_a_program_that_is_silent_by_nature_may_be(name: str, model: ModelServer, checkout: Checkout) -> None:
    outcome = work(name, model.base, "hang", checkout, timeout_s=9, idle_s=3)
    assert (outcome.ended, outcome.message) == (Ended.TIMED_OUT, f"{name} did not end within 9 s (`timeout`)")


def test_a_daemon_is_dead_when_the_work_returns(name: str, model: ModelServer, checkout: Checkout) -> None:
    if name == "aider":
        pytest.skip("aider starts no commands here")
    outcome = work(name, model.base, "daemon", checkout)
    assert outcome.ended is Ended.COMPLETED, outcome
    assert int((checkout.tree / "pid").read_text()) > 0
    assert not any(_is_sleeper(path) for path in Path("/proc").iterdir() if path.name.isdigit())


def test_a_reviewer_gives_a_typed_answer_and_changes_nothing(name: str, model: ModelServer, checkout: Checkout) -> None:
    outcome = work(name, model.base, "approve", checkout, schema=schema())
    assert outcome.ended is Ended.COMPLETED, outcome
    assert read(outcome.answer or outcome.message, AnswerRequirements("own", (), ())).decision == "approve"
    assert sorted(path.name for path in checkout.tree.iterdir()) == [".git", "a.txt"]
    assert (checkout.tree / "a.txt").read_text() == "one\n"


def test_aider_can_revise_though_it_asks_again_for_each_file_that_is_named(
    model: ModelServer, checkout: Checkout
) -> None:
    bin_of("aider")
    before = len(model.requests)
    outcome = work("aider", model.base, "revise", checkout, schema=schema())
    assert len(model.requests) - before == 2
    assert read(outcome.answer, AnswerRequirements("own", (), ())).decision == "revise"


def test_prose_of_a_reviewer_is_no_answer(name: str, model: ModelServer, checkout: Checkout) -> None:
    outcome = work(name, model.base, "prose", checkout, schema=schema())
    with pytest.raises(NoAnswer):
        read(outcome.answer or outcome.message, AnswerRequirements("own", (), ()))


def test_a_brief_longer_than_an_argument_may_be(name: str, model: ModelServer, checkout: Checkout) -> None:
    outcome = work(name, model.base, "nothing", checkout, before="x" * 200 + "\n", times=1000)
    if name == "mini":  # the model is asked to read a file
        named = re.search(r"Read the file (\S+)", model.requests[-1][1])
        assert named is not None
        assert Path(named[1]).read_text().startswith("x" * 200)
    else:
        assert outcome.ended is Ended.COMPLETED, outcome
    assert "Argument list too long" not in outcome.message


@pytest.mark.parametrize("reviews", [False, True], ids=["worker", "reviewer"])
def test_opencode_goes_on_after_a_path_outside_of_the_checkout(checkout: Checkout, reviews: bool) -> None:
    bin_of("opencode")
    beside = checkout.root / "beside" / "skill.md"  # a brief refers to such files: skills, and a long patch
    beside.parent.mkdir()
    beside.write_text("as it is beside\n")
    (checkout.tree / "a.env").write_text("WORD=1\n")  # by default it asks before it reads this
    files = (beside, checkout.tree / "a.env", checkout.tree / "a.txt")
    reads = tuple(Step("tool", json.dumps({"filePath": str(file)}), "read") for file in files)
    end = SCENARIOS["approve"] if reviews else SCENARIOS["edit"]
    with serving({"outside": (*reads, *end)}) as model:
        outcome = work("opencode", model.base, "outside", checkout, schema=schema() if reviews else "")
    assert outcome.ended is Ended.COMPLETED, outcome
    assert ("as it is beside" in model.requests[-1][1]) is not reviews
    assert (checkout.tree / "a.txt").read_text() == ("one\n" if reviews else "two\n")


def _is_sleeper(process: Path) -> bool:
    try:
        return (process / "cmdline").read_bytes() == b"sleep\x00987\x00"
    except OSError:
        return False
