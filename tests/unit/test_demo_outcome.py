"""What the demo tells of a run: a failure that was accepted must be told, not hidden."""

from demo.outcome import outcome_of
from demo.record import excerpt, shape

SPENT = {"tokens": 1200, "cost_usd": 0.5, "cost_known": True}


def attempt(name: str, behaviour: str, phase: str, *gates: str) -> dict[str, object]:
    findings = [{"message": "tests.test_a::test_b failed\nmore"}, {"message": "another"}]
    verdicts = [{"verdict": {"gate": f"code/{gate}", "status": "failed", "findings": findings}} for gate in gates]
    said = f"scripted agent, seed 1, attempt {name}: {behaviour}"
    claim, why = (said, "") if phase != "errored" else ("", f"timed out: python was silent: no output\n{said}")
    times = {"started_at": 1.0, "ended_at": 2.5}
    return {"id": name, "phase": phase, "claim": claim, "why": why, "verdicts": verdicts, **times}


def run(*attempts: dict[str, object]) -> dict[str, object]:
    stages = [{"attempts": list(attempts)}]
    about = {"id": "r", "phase": "accepted", "branch": "b", "commit": "c", "base_commit": "d"}
    return {**about, "stages": stages, "spent": SPENT, "waits": []}


def test_what_caught_each_failure() -> None:
    outcome = outcome_of(
        run(
            attempt("code/1.1", "wrong_fix", "rejected", "test", "hidden"),
            attempt("code/1.2", "hang", "errored"),
            attempt("code/1.3", "right", "accepted"),
        )
    )
    assert [(failure.behaviour, failure.caught_by) for failure in outcome.failures] == [
        ("wrong fix", "gates test and hidden"),
        ("hang", "idle timeout"),
    ]
    assert outcome.failures[0].said == "test_b failed (and 1 more)"
    assert (outcome.attempts, outcome.got_through) == (3, ())


def test_a_failure_that_was_accepted_got_through() -> None:
    outcome = outcome_of(run(attempt("code/1.1", "wrong_fix", "accepted")))
    assert [failure.attempt for failure in outcome.got_through] == ["code/1.1"]


def test_the_excerpt_leaves_out_what_went_well() -> None:
    said = [
        "12:00:00 base         gate code/test failed: 1 finding",
        "12:00:01 plan/1.1     coder works",
        "12:00:01 plan/1.1     gate scope passed",
        "12:00:02 plan/1.1     accepted",
        "12:00:02 code/1.1     gate scope failed: 1 finding (a.py)",
        "12:00:02 code/1.1     rejected by scope",
        "12:00:03 run          accepted",
        "  ✓ code/1.1  lie  gate scope",
    ]
    assert list(excerpt("\n".join(said))) == ["...", said[4], "...", said[6], said[7]]


def test_the_shape_of_a_line_has_no_times_and_names() -> None:
    first = "12:00:02 run  branch interlock/20261124-030158-kejetr at 7f0211636f (8 attempts, 1.5 s)"
    second = "09:10:42 run   branch interlock/20261201-111111-aaaaaa at 0000000000 (9 attempts, 22 s)"
    assert shape([first]) == shape([second])
    assert shape([first]) != shape([first.replace("branch", "branches")])
