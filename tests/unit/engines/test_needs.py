"""Which offers fit which needs, and which of them is chosen."""

from __future__ import annotations

import pytest

from interlock.core.effects import EvaluateGate, Operation, StartAttempt
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, CommandLine, Gate, GateKind, Pipeline, Stage
from interlock.engines.temporal.needs import (
    Need,
    Offer,
    Seen,
    any_but,
    chosen,
    fits,
    need_of,
    offer_of,
    unmet,
    unmet_by,
)
from interlock.gates.kinds.review import Review

ATTEMPT = AttemptId("code", 1, 1)
ANYBODY = Need()
GATES = (
    Gate("scope", GateKind.SCOPE),
    Gate("test", GateKind.RUN, CommandLine(shell="true"), secrets=("DB",)),
    Gate("review", "review", options=Review(by=("reader", "script"))),
)
PIPELINE = Pipeline(
    "p",
    (
        Stage("code", agent="coder", gates=GATES, secrets=("TOKEN",), labels=("gpu",), judged_elsewhere=True),
        Stage("tidy", needs=("code",), command=CommandLine(shell="true")),
    ),
    (
        AgentSpec("coder", "codex", secrets=("KEY",)),
        AgentSpec("reader", "aider", secrets=("OTHER",)),
        AgentSpec("script", "command", CommandLine(shell="true")),
        AgentSpec("either", "claude", secrets=("KEY", "TOKEN")),
        AgentSpec("lent", "claude", secrets=("KEY", "TOKEN"), options=(("login", "true"),)),
        AgentSpec("own", "command", CommandLine(shell="true"), secrets=("KEY", "TOKEN")),
    ),
)
TIDY = AttemptId("tidy", 1, 1)


def judged(gate: str) -> EvaluateGate:
    return EvaluateGate(ATTEMPT, f"code/{gate}", 1, "c", "t", "i", "it")


@pytest.mark.parametrize(
    ("effect", "need"),
    [
        (StartAttempt(ATTEMPT, "coder", "c", "t"), Need(("codex",), ("KEY", "TOKEN"), ("gpu",))),
        (StartAttempt(ATTEMPT, "", "c", "t", source="s", by="ada"), Need()),
        (StartAttempt(TIDY, "", "c", "t"), Need()),
        (StartAttempt(TIDY, "either", "c", "t"), Need(("claude",), one_of=(("KEY", "TOKEN"),))),
        (StartAttempt(ATTEMPT, "either", "c", "t"), Need(("claude",), ("TOKEN",), ("gpu",))),
        (StartAttempt(TIDY, "lent", "c", "t"), Need(("claude",))),
        (StartAttempt(TIDY, "own", "c", "t"), Need(secrets=("KEY", "TOKEN"))),
        (judged("scope"), None),
        (judged("test"), Need((), ("DB",), ("gpu",), "7@there")),
        (judged("review"), Need(("aider",), ("OTHER",), ("gpu",), "7@there")),
    ],
)
def test_what_an_effect_needs(effect: Operation, need: Need | None) -> None:
    assert need_of(PIPELINE, effect, "7@there") == need


@pytest.mark.parametrize(
    ("need", "fit"),
    [
        (Need(), True),
        (Need(("codex",)), True),
        (Need(("aider",)), False),
        (Need(("aider", "codex")), False),
        (Need(secrets=("KEY",)), True),
        (Need(secrets=("KEY", "OTHER")), False),
        (Need(one_of=(("OTHER", "KEY"),)), True),
        (Need(one_of=(("KEY",), ("OTHER", "MORE"))), False),
        (Need(labels=("gpu",)), True),
        (Need(labels=("gpu", "tpu")), False),
    ],
)
def test_an_offer_fits_where_it_has_all_that_is_needed(need: Need, fit: bool) -> None:
    assert fits(offer_of(["codex"], ["KEY"], ["gpu", "big"]), need) is fit


def test_without_a_list_every_secret_is_offered() -> None:
    assert fits(offer_of([]), Need(secrets=("KEY",)))


def test_what_is_known_to_be_unset_is_not_offered() -> None:
    offer = offer_of([], any_but(["KEY"]))
    assert not fits(offer, Need(secrets=("KEY",)))
    assert fits(offer, Need(secrets=("OTHER",), one_of=(("KEY", "TOKEN"),)))


def best(*seen: Seen, need: Need = ANYBODY) -> list[Offer]:
    return [one.offer for one in chosen(seen, need)]


def test_what_is_rare_is_left_to_those_who_need_it_unless_the_others_have_much_to_do() -> None:
    plain, rare = offer_of(["codex"]), offer_of(["codex"], labels=["gpu"])
    assert best(Seen(rare, ("1@a",)), Seen(plain, ("2@b",))) == [plain]
    assert best(Seen(rare, ("1@a",)), Seen(plain, ("2@b",), backlog=3)) == [rare]
    assert best(Seen(rare, ("1@a",)), Seen(plain, ("2@b",)), need=Need(labels=("gpu",))) == [rare]


def test_offers_of_the_same_rank_are_all_chosen() -> None:
    one, other = offer_of([], ["A"]), offer_of([], ["B"])
    assert best(Seen(other, ("2@b",)), Seen(one, ("1@a",))) == sorted([one, other])
    assert best(Seen(other, ("2@b",)), Seen(one, ("1@a",), backlog=1)) == [other]


def test_nobody_is_chosen_who_does_not_live_or_made_the_candidate() -> None:
    offer = offer_of([])
    assert best(Seen(offer, ())) == []
    assert best(Seen(offer, ("1@a",)), need=Need(not_by="1@a")) == []
    assert best(Seen(offer, ("1@a", "2@b")), need=Need(not_by="1@a")) == [offer]


def test_the_same_offer_has_the_same_queue_in_any_order() -> None:
    assert offer_of(["a", "b"], ["C", "D"]).queue("q") == offer_of(["b", "a"], ["D", "C"]).queue("q")
    assert offer_of(["a"]).queue("q") != offer_of(["b"]).queue("q")
    assert offer_of(["a"], blobs="1").queue("q") != offer_of(["a"], blobs="2").queue("q")


def test_what_is_missing_is_said_with_the_command_that_mends_it() -> None:
    assert unmet(Need()) == "waits for a worker: interlock worker"
    assert unmet(Need(("codex",), ("KEY",), ("big", "gpu"))) == (
        "waits for a worker with agent codex, label big, label gpu, secret KEY:"
        " interlock worker --agents codex --labels big,gpu --secrets KEY, started with that variable set"
    )
    assert unmet(Need(("claude",), one_of=(("KEY", "TOKEN"),))) == (
        "waits for a worker with agent claude, secret KEY or TOKEN:"
        " interlock worker --agents claude --secrets KEY, started with that variable set"
    )
    assert unmet(Need(not_by="7@there")) == "waits for a worker other than 7@there: interlock worker"


def test_what_a_pipeline_will_wait_for_is_told_once_with_its_stages() -> None:
    pipeline = Pipeline(
        "p",
        (
            Stage("plan", agent="either"),
            Stage("code", needs=("plan",), agent="either", gates=GATES),
            Stage("ship", needs=("code",)),
        ),
        PIPELINE.agents,
    )
    seen = [Seen(offer_of(["codex"], any_but(["KEY", "TOKEN"])), ("1@a",))]
    assert list(unmet_by(seen, pipeline)) == [
        "each of plan, code waits for a worker with agent claude, secret KEY or TOKEN:"
        " interlock worker --agents claude --secrets KEY, started with that variable set",
        "stage code waits for a worker with agent aider, secret OTHER:"
        " interlock worker --agents aider --secrets OTHER, started with that variable set",
    ]
    assert list(unmet_by([Seen(offer_of(["claude", "aider"]), ("1@a",))], pipeline)) == []
