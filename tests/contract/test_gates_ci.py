"""The ci gate: a real push to a bare repository, and a server on loopback that follows GitHub's API."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.contract.outside_world import GitHub, run, served, status
from tests.contract.workspaces_world import World, fingerprint, git, make_world

from interlock.core.events import VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Gate, Pipeline, Stage
from interlock.gates.ci_api import Outside
from interlock.gates.kinds.ci import Ci
from interlock.gates.locks import Slots
from interlock.gates.referee import GateContext, Referee
from interlock.journal import FileBlobs
from interlock.ports import Cancelled, Fenced, GateRequest, InfrastructureError, Judgement

BRANCH = "interlock/run1/code/1.1/ci"
OK, NO, BROKEN = VerdictStatus.PASSED, VerdictStatus.FAILED, VerdictStatus.ERRORED


@dataclass
class Ground:
    world: World
    remote: Path
    github: GitHub
    context: GateContext
    commit: str

    def request(
        self, *, checks: tuple[str, ...] = (), timeout_s: int = 30, repository: str = "acme/app"
    ) -> GateRequest:
        ci = Ci("origin", checks, repository)
        gate = Gate("ci", "ci", timeout_s=timeout_s, options=ci)
        stage = Stage("code", agent="coder", gates=(gate,))
        base = self.world.base()
        return GateRequest(
            "run1", AttemptId("code", 1, 1), stage, gate, Pipeline("p", (stage,)), self.commit, "", base.commit,
            base.tree, base.commit, {},
        )  # fmt: skip

    def judge(self, **more: object) -> Judgement:
        return Referee(self.context).evaluate(self.request(**more), threading.Event())  # type: ignore[arg-type]

    def branches(self) -> list[str]:
        return git(self.remote, "for-each-ref", "--format=%(refname:short)", "refs/heads/interlock").split()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    world, remote, github = make_world(tmp_path), tmp_path / "remote.git", GitHub()
    git(tmp_path, "init", "-q", "--bare", str(remote))
    git(world.repository, "remote", "add", "origin", str(remote))
    blobs = FileBlobs(tmp_path / "blobs")
    environ = {**os.environ, "GITHUB_TOKEN": github.token}
    with world.workspaces, served(github.app()) as endpoint:
        commit = world.attempted({"a.txt": "new\n"}, world.base().commit, 1).commit
        outside = Outside(endpoint, poll_s=0.02, grace_s=0.3)
        context = GateContext(world.workspaces, blobs, None, environ, tmp_path, Slots(tmp_path), outside=outside)  # type: ignore[arg-type]
        yield Ground(world, remote, github, context, commit)


def told(judgement: Judgement) -> str:
    return "\n".join(finding.message for finding in judgement.findings)


def test_it_waits_for_the_end_and_leaves_nothing_behind(ground: Ground) -> None:
    seen: list[str] = []

    def runs(commit: str, asked: int) -> list[dict[str, object]]:
        assert commit == ground.commit
        seen.extend(ground.branches())
        assert git(ground.remote, "show", f"{BRANCH}:a.txt") == "new\n"  # what the CI gets is the candidate
        return [] if asked == 1 else [run("test", None if asked < 4 else "success")]

    ground.github.runs = runs
    ground.github.statuses = lambda commit, asked: [status("lint", "pending" if asked < 3 else "success")]
    before = fingerprint(ground.world.repository)
    assert ground.judge().status is OK
    assert set(seen) == {BRANCH}
    assert ground.branches() == []
    assert fingerprint(ground.world.repository) == before


def test_a_no_is_a_hard_no_with_its_lines(ground: Ground) -> None:
    said = run("test", "failure", 9, title="2 failed", summary="see test_a")
    ground.github.runs = lambda commit, asked: [said, run("lint", "success")]
    line = {"path": "a.txt", "start_line": 3, "annotation_level": "failure", "message": "wrong here"}
    ground.github.annotations = {9: [line, {**line, "annotation_level": "notice"}]}
    judgement = ground.judge()
    assert judgement.status is NO
    assert [(one.rule, one.file, one.line) for one in judgement.findings] == [("test", "a.txt", 3), ("test", "", 0)]
    assert "2 failed: see test_a - https://ci.example.org/9" in told(judgement)
    assert ground.context.blobs.get(judgement.evidence[0].digest).decode().startswith("lint: success")
    assert ground.branches() == []


@pytest.mark.parametrize(
    ("runs", "statuses", "checks", "wanted"),
    [
        ([run("test", "success"), run("docs", "skipped")], [], (), OK),
        ([run("test", "success"), run("docs", "neutral")], [], ("test", "docs"), OK),
        ([run("test", "failure"), run("docs", "cancelled")], [], (), NO),
        ([run("test", "timed_out")], [], (), NO),
        ([run("test", "success")], [status("build", "failure")], (), NO),
        ([run("other", "failure"), run("test", "success")], [], ("test",), OK),
        ([run("test", "success", number) for number in range(150)] + [run("last", "failure", 200)], [], (), NO),
        ([run("docs", "skipped"), run("more", "neutral")], [], (), BROKEN),
        ([run("test", "success"), run("docs", "skipped")], [], ("test", "docs"), BROKEN),
        *(([run("test", "success"), run("x", word)], [], (), BROKEN) for word in (
            "cancelled", "stale", "startup_failure", "action_required", "something_new")),
        ([run("test", "success")], [status("build", "error")], (), BROKEN),
        ([run("test", "success")], [], ("test", "never"), BROKEN),
        ([], [], (), BROKEN),
    ],
)  # fmt: skip
def test_what_they_come_to(ground: Ground, runs, statuses, checks, wanted) -> None:
    ground.github.runs = lambda commit, asked: runs
    ground.github.statuses = lambda commit, asked: statuses
    judgement = ground.judge(checks=checks)
    assert judgement.status is wanted, told(judgement)
    assert judgement.permanent is (wanted is BROKEN)
    assert ground.branches() == ([BRANCH] if wanted is BROKEN else [])


def test_no_end_in_time_is_no_verdict_and_asking_again_goes_on(ground: Ground) -> None:
    ground.github.runs = lambda commit, asked: [run("test", None)]
    judgement = ground.judge(timeout_s=1)
    assert (judgement.status, judgement.permanent) == (BROKEN, True)
    assert "waiting for test" in told(judgement)
    assert f"branch {BRANCH} stays" in told(judgement)
    ground.github.runs = lambda commit, asked: [run("test", "success")]
    assert ground.judge().status is OK
    assert ground.branches() == []


@pytest.mark.parametrize("code", [403, 429])
def test_it_stays_away_as_long_as_it_is_told_to(ground: Ground, code: int) -> None:
    ground.github.refusals = [(code, {"Retry-After": "1"})]
    ground.github.runs = lambda commit, asked: [run("test", "success")]
    assert ground.judge().status is OK
    assert ground.github.asked[1][0] - ground.github.asked[0][0] >= 1.0


def test_a_server_in_trouble_is_asked_again(ground: Ground) -> None:
    ground.github.refusals = [(502, {}), (500, {})]
    ground.github.runs = lambda commit, asked: [run("test", "success")]
    assert ground.judge().status is OK


def test_trouble_that_lasts_is_no_verdict(ground: Ground) -> None:
    ground.github.refusals = [(500, {})] * 1000
    assert ground.judge(timeout_s=1).status is BROKEN
    ground.github.refusals = []
    ground.github.token = "another"
    judgement = ground.judge()
    assert (judgement.status, judgement.permanent) == (BROKEN, True)
    assert "token" in told(judgement)
    assert "secret-token" not in told(judgement)


def test_a_redirect_does_not_get_the_token(ground: Ground) -> None:
    other = GitHub()
    with served(other.app()) as address:
        ground.github.refusals = [(301, {"Location": f"{address}/repos/acme/app/commits/x/check-runs"})]
        ground.judge()
    assert [token for _, _, token in other.asked] == [None]


def test_cancelled_it_takes_its_branch_back(ground: Ground) -> None:
    cancel = threading.Event()

    def runs(commit: str, asked: int) -> list[dict[str, object]]:
        assert ground.branches() == [BRANCH]
        cancel.set()
        return [run("test", None)]

    ground.github.runs = runs
    with pytest.raises(Cancelled):
        Referee(ground.context).evaluate(ground.request(), cancel)
    assert ground.branches() == []


def test_somebody_elses_branch_is_never_overwritten(ground: Ground) -> None:
    git(ground.world.repository, "push", "-q", "origin", f"main:refs/heads/{BRANCH}")
    theirs = git(ground.remote, "rev-parse", BRANCH)
    with pytest.raises(InfrastructureError, match="refused the branch") as raised:
        ground.judge()
    assert raised.value.permanent
    assert git(ground.remote, "rev-parse", BRANCH) == theirs


def test_hooks_of_the_user_do_not_run(ground: Ground) -> None:
    hook = ground.world.repository / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    ground.github.runs = lambda commit, asked: [run("test", "success")]
    assert ground.judge().status is OK


def test_what_is_missing_is_said(ground: Ground) -> None:
    with pytest.raises(InfrastructureError, match="repository: OWNER/NAME"):
        ground.judge(repository="")
    git(ground.world.repository, "remote", "rename", "origin", "there")
    with pytest.raises(InfrastructureError, match=r"there is no remote origin \(there are: there\)"):
        ground.judge()


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme/app.git",
        "git@github.com:acme/app.git",
        "ssh://git@host:22/acme/app",
        "https://h/acme/app/",
    ],
)
def test_the_address_names_the_repository(address: str) -> None:
    from interlock.gates.kinds import ci

    assert ci._repository(Ci(), address) == "acme/app"


def test_a_case_is_judged_alike_whatever_the_timeout(ground: Ground) -> None:
    from interlock.gates.kinds import ci

    request = ground.request()
    assert ci.branch_of(request) == BRANCH == ci.branch_of(replace(request, number=3))


def test_nothing_is_pushed_for_who_has_another_owner_or_is_no_longer_wanted(ground: Ground) -> None:
    def taken() -> AbstractContextManager[object]:
        raise Fenced("run run1 is controlled by another process")

    with pytest.raises(Fenced):
        Referee(ground.context).evaluate(replace(ground.request(), alone=taken), threading.Event())
    assert ground.branches() == []
    unwanted = threading.Event()

    @contextmanager
    def waited() -> Iterator[None]:
        unwanted.set()  # while it waited for its turn
        yield

    with pytest.raises(Cancelled):
        Referee(ground.context).evaluate(replace(ground.request(), alone=waited), unwanted)
    assert ground.branches() == []


@pytest.mark.parametrize("ended", [False, True])
def test_a_former_owner_leaves_the_branch_to_the_new_one(ground: Ground, ended: bool) -> None:
    """It was replaced while it waited: then all it does is ended, or it hears of a verdict first."""
    cancel, owners = threading.Event(), ["me"]

    def runs(commit: str, asked: int) -> list[dict[str, object]]:
        owners.append("somebody else")
        if ended:
            cancel.set()
        return [run("test", "success")]

    @contextmanager
    def alone() -> Iterator[None]:
        if owners[-1] != "me":
            raise Fenced("run run1 is controlled by another process")
        yield

    ground.github.runs = runs
    with pytest.raises(Fenced):
        Referee(ground.context).evaluate(replace(ground.request(), alone=alone), cancel)
    assert ground.branches() == [BRANCH]
