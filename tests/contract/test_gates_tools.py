"""Two machines with other versions of a test program: a candidate is compared with what the same version said."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.contract.cli_world import new_world
from tests.contract.gates_world import World, run_gate

from interlock.core.effects import Before
from interlock.core.events import Severity, VerdictStatus
from interlock.core.ids import AttemptId, base_of
from interlock.core.pipeline import Baseline, Gate, Report
from interlock.gates.referee import Referee
from interlock.ports import GateRequest, Judgement

PASSED, FAILED, ERRORED = VerdictStatus

# Reports the tests of the file `tests`, one a line; in this version those of FAILS fail whatever the line says.
SUITE = """\
#!/bin/sh
{
  echo "<testsuite>"
  code=0
  while read -r name how; do
    case " FAILS " in *" $name "*) how=failed;; esac
    said=""
    if [ "$how" = failed ]; then said="<failure message='no'/>"; code=1; fi
    echo "<testcase classname='t' name='$name'>$said</testcase>"
  done < tests
  echo "</testsuite>"
} > "${REPORT:-/dev/null}"
exit $code
"""


@dataclass
class Machine:
    """One with its own version of `suite`; none where `fails` is None."""

    world: World
    folder: Path
    fails: str | None

    def __post_init__(self) -> None:
        self.folder.mkdir()
        if self.fails is not None:
            program = self.folder / "suite"
            program.write_text(SUITE.replace("FAILS", self.fails))
            program.chmod(0o755)
        environ = {**self.world.context.environ, "PATH": f"{self.folder}:/usr/bin:/bin"}
        self.referee = Referee(replace(self.world.context, environ=environ))

    def ask(self, request: GateRequest) -> Judgement:
        return self.referee.evaluate(request, self.world.cancel)


@dataclass
class Case:
    """`first` judges the base, `other` the candidate."""

    world: World
    first: Machine
    other: Machine
    gate: Gate
    base: str = ""  # the commit

    def judge(self, base: str, candidate: str) -> Judgement:
        self.base = before = self.base or self.world.trees.commit({"tests": base})
        now = self.world.trees.commit({"tests": candidate})
        request = self.world.request(self.gate, now, before)
        request = replace(request, base_tree=request.input_tree, decided_on_input=True)
        alone = replace(request, subject=base_of("code"), commit=before, tree=request.input_tree)
        was = self.first.ask(replace(alone, decided_on_input=False))
        report = self.world.evidence(was, "report") if self.gate.report is Report.JUNIT else None
        made = Before(before, request.input_tree, was.tools, was.status is PASSED)
        worse = report if self.gate.baseline is Baseline.NO_WORSE else None
        return self.other.ask(
            replace(request, baseline=report, before=made, on_base=worse, on_base_tools=was.tools if worse else "")
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def case(world: World, first: str | None, other: str | None, **more: object) -> Case:
    root = world.trees.repository.parent
    gate = run_gate("suite", report=Report.JUNIT, canary="", **more)
    return Case(world, Machine(world, root / "first", first), Machine(world, root / "other", other), gate)


def test_a_candidate_is_not_blamed_for_what_only_this_machine_refuses(world: World) -> None:
    said = case(world, "none", "b").judge("a passed\nb passed\n", "a passed\nb passed\nc passed\n")
    assert (said.status, said.permanent) == (ERRORED, False)
    (finding,) = said.findings
    assert finding.rule == "tools"
    assert finding.message.startswith("t::b: failed here, and so on the accepted input, which passed with other tools")


def test_it_is_blamed_for_what_it_breaks_beside_that(world: World) -> None:
    said = case(world, "none", "b").judge("a passed\nb passed\n", "a failed\nb passed\n")
    assert said.status is FAILED
    assert [finding.message.splitlines()[0] for finding in said.findings] == [
        "t::a failed (it passed in the accepted input)"
    ]


def test_what_may_fail_before_may_fail_by_the_tools(world: World) -> None:
    said = case(world, "none", "b", baseline=Baseline.NO_WORSE).judge("a passed\nb passed\n", "a passed\nb passed\n")
    assert said.status is PASSED
    assert [(note.rule, note.severity) for note in said.findings] == [("tools", Severity.WARNING)]


def test_nothing_passes_since_another_machine_refused_it(world: World) -> None:
    """`b` fails on the base there, and passes here: so the candidate has broken it."""
    said = case(world, "b", "none", baseline=Baseline.NO_WORSE).judge("a passed\nb passed\n", "a passed\nb failed\n")
    assert said.status is FAILED
    assert said.findings[0].message.startswith("t::b failed (it passed in the accepted input)")


@pytest.mark.parametrize(
    ("first", "other", "base", "candidate", "status"),
    [
        ("none", "b", "b passed\n", "b passed\nc passed\n", ERRORED),
        ("none", "b", "a passed\n", "b passed\n", FAILED),
        ("b", "b c", "b passed\n", "b passed\na passed\n", FAILED),  # the base does not pass anywhere
        ("none", "b", "b passed\n", "c passed\n", PASSED),
    ],
)
def test_a_command_without_a_report(
    world: World, first: str, other: str, base: str, candidate: str, status: VerdictStatus
) -> None:
    made = case(world, first, other)
    made.gate = run_gate("suite")
    assert made.judge(base, candidate).status is status


def test_a_gate_that_cannot_run_on_the_input_here_blames_nobody(world: World) -> None:
    said = case(world, "none", None).judge("a passed\n", "a passed\nb passed\n")
    assert (said.status, said.permanent) == (ERRORED, False)
    message = said.findings[0].message
    assert message.startswith("it cannot judge here what the candidate is compared with, and could with other tools")
    assert "exit code 127" in message
    assert b"suite: " in world.evidence(said, "log")


@pytest.mark.parametrize("other", ["b", None])
def test_nothing_of_held_out_tests_is_told_on_that_way(world: World, tmp_path: Path, other: str | None) -> None:
    (tmp_path / "hidden").mkdir()
    said = case(world, "none", other, held_out=str(tmp_path / "hidden")).judge("b passed\n", "b passed\na passed\n")
    assert said.status is ERRORED
    assert all(finding.secret for finding in said.findings)


def test_the_input_is_judged_once_for_each_version_and_never_for_the_same(world: World) -> None:
    made = case(world, "none", "c")
    for machine, rooms in ((made.other, 3), (made.other, 4), (made.first, 5)):
        made.other = machine
        made.judge("a passed\n", f"a passed\nb{rooms} passed\n")  # another candidate
        assert world.trees.rooms == rooms


def test_the_verdict_names_the_tools(world: World) -> None:
    made = case(world, "none", "b")
    commit = world.trees.commit({"tests": "a passed\n"})
    request = replace(world.request(made.gate, commit, commit), subject=AttemptId("code", 0, 0))
    first, other = made.first.ask(request), made.other.ask(request)
    assert first.tools != other.tools
    assert first.tools == made.first.ask(request).tools


UPGRADED = """\
version: 1
agents:
  coder: {use: command, env: [HERE], run: [bash, -c, 'cp "$HERE/newer" "$HERE/bin/suite"; echo c passed >> tests']}
stages:
  code:
    agent: coder
    gates: [{id: g, run: suite, report: junit, canary: false, baseline: no_worse}]
"""


def test_tools_that_are_upgraded_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """`b` fails by the newer version, on the base as well."""
    (tmp_path / "bin").mkdir()
    for program, fails in ((tmp_path / "bin" / "suite", "none"), (tmp_path / "newer", "b")):
        program.write_text(SUITE.replace("FAILS", fails))
        program.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    environ = {"HERE": str(tmp_path), "PATH": path, "INTERLOCK_SANDBOX": "none"}  # the agent upgrades them
    files = {"interlock.yaml": UPGRADED, "tests": "a passed\nb passed\n"}
    mine = new_world(tmp_path / "mine", files, **environ)
    said = mine.ask("run", "--plain", "-t", "x").ended(0, "accepted")
    assert "note: failed by the tools of this machine, on the input too: t::b" in said.text
