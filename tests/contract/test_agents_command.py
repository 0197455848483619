"""Any program as an agent, as a real process."""

import os
import threading
from pathlib import Path

import pytest

from interlock.agents import adapters
from interlock.core.events import Usage
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec, CommandLine
from interlock.ports import Brief, Checkout, Ended, Outcome


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path, tmp_path / "tree", tmp_path / "home", tmp_path / "tmp")
    for folder in (checkout.tree, checkout.home, checkout.tmp):
        folder.mkdir()
    return checkout


def brief(text: str = "Do it.", *, timeout_s: int = 30, idle_timeout_s: int = 0, **env: str) -> Brief:
    complete = {"PATH": os.environ["PATH"], **env}
    return Brief("r", AttemptId("code", 1, 2), text, text, "small", complete, timeout_s, idle_timeout_s)


def work(
    checkout: Checkout, shell: str, the_brief: Brief | None = None, cancel: threading.Event | None = None
) -> Outcome:
    spec = AgentSpec("own", "command", CommandLine(shell=shell))
    agent = adapters({})["command"]
    return agent.work(spec, the_brief or brief(), checkout, cancel or threading.Event())


def test_the_brief_comes_by_standard_input_and_as_a_file(checkout: Checkout) -> None:
    outcome = work(checkout, 'cat > one; cp "$BRIEF" two; echo did it', brief("Mend ü\n"))
    assert (outcome.ended, outcome.exit_code, outcome.message) == (Ended.COMPLETED, 0, "did it")
    assert (checkout.tree / "one").read_text() == (checkout.tree / "two").read_text() == "Mend ü\n"
    assert outcome.log is not None
    assert outcome.log.read_text() == "did it\n"
    assert not outcome.log.is_relative_to(checkout.tree)


def test_it_sees_the_declared_environment_only(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_OURS", "secret")
    work(checkout, "env > seen", brief(DECLARED="yes"))
    names = {line.partition("=")[0] for line in (checkout.tree / "seen").read_text().splitlines()}
    assert names - {"PATH", "PWD", "SHLVL", "_", "OLDPWD"} == {
        "DECLARED", "BRIEF", "INTERLOCK_USAGE", "INTERLOCK_ATTEMPT", "INTERLOCK_MODEL",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shell", "ended", "permanent"),
    [
        ("echo oops; exit 7", Ended.CRASHED, False),
        ("kill -9 $$", Ended.CRASHED, False),
        ('echo \'{"ended": "rate_limited", "retry_at": 5}\' > $INTERLOCK_USAGE; exit 1', Ended.RATE_LIMITED, False),
        ('echo \'{"ended": "completed"}\' > $INTERLOCK_USAGE; exit 1', Ended.CRASHED, False),
    ],
)
def test_how_it_ends(checkout: Checkout, shell: str, ended: Ended, permanent: bool) -> None:
    outcome = work(checkout, shell)
    assert (outcome.ended, outcome.permanent) == (ended, permanent)


def test_what_is_not_there_is_unavailable_for_good(checkout: Checkout) -> None:
    agent = adapters({})["command"]
    for spec in (AgentSpec("own", "command", CommandLine(argv=("./missing",))), AgentSpec("own", "command")):
        outcome = agent.work(spec, brief(), checkout, threading.Event())
        assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, True)
        assert "run" in outcome.message


def test_deadline_silence_and_cancel(checkout: Checkout) -> None:
    assert work(checkout, "sleep 60", brief(timeout_s=1)).ended is Ended.TIMED_OUT
    silent = work(checkout, "sleep 60", brief(idle_timeout_s=1))
    assert silent.ended is Ended.TIMED_OUT
    words = "bash was silent for 1 s: no output, no write, no computing (`idle_timeout` of the stage)"
    assert silent.message.startswith(words)
    cancel = threading.Event()
    cancel.set()
    assert work(checkout, "sleep 60", cancel=cancel).ended is Ended.CANCELLED


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ('{"tokens_in": 5, "tokens_out": 7, "cost_usd": 0.5}', Usage(5, 7, None, 0.5)),
        ('{"tokens_in": -5, "tokens_out": true, "cost_usd": "1"}', Usage()),
        ('{"tokens_in": 1', Usage()),
        ("[]", Usage()),
        ("NaN", Usage()),
    ],
)
def test_usage_is_taken_where_it_has_the_right_shape(checkout: Checkout, told: str, usage: Usage) -> None:
    assert work(checkout, f"printf '%s' '{told}' > $INTERLOCK_USAGE").usage == usage


def test_usage_is_not_read_through_a_link(checkout: Checkout) -> None:
    assert work(checkout, "echo '{\"tokens_in\": 1}' > u; ln -s $PWD/u $INTERLOCK_USAGE").usage == Usage()


def test_it_works_in_the_stages_folder(checkout: Checkout) -> None:
    (checkout.tree / "sub").mkdir()
    where = Brief("r", AttemptId("code", 1, 1), "", "", "", {"PATH": os.environ["PATH"]}, 30, 0, dir="sub")
    work(checkout, "touch here", where)
    assert (checkout.tree / "sub/here").exists()


def test_the_folder_of_documents_is_there(checkout: Checkout) -> None:
    folder = checkout.tree / ".interlock/artifacts/plan"
    assert work(checkout, 'echo > "$ARTIFACTS/plan.md"', brief(ARTIFACTS=str(folder))).ended is Ended.COMPLETED


def test_no_folder_is_made_through_a_link_out_of_the_checkout(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (checkout.tree / ".interlock").symlink_to(tmp_path / "outside")
    work(checkout, "true", brief(ARTIFACTS=str(checkout.tree / ".interlock/artifacts/plan")))
    assert list((tmp_path / "outside").iterdir()) == []
