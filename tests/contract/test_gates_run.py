"""What surrounds a run: environment, secrets, held-out files, repeats, the cache, locks and slots."""

import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.gates_world import World, run_gate
from tests.rooms_here import needs_rooms

from interlock.core.events import Severity, VerdictStatus
from interlock.core.ids import base_of, input_of
from interlock.core.pipeline import Artifact, Baseline, Expect, Gate, GateKind, Report, Setup, Stage, Text
from interlock.core.pipeline import CommandLine as Line
from interlock.gates.held_out import HeldOut
from interlock.gates.locks import PORTS_EACH, Slot, Slots, hold_locks
from interlock.gates.referee import Referee
from interlock.ports import Cancelled, UnfitSetup

PASSED, FAILED, ERRORED = VerdictStatus
CASE = "<testcase classname='t' name='%s'>%s</testcase>"


def suite(**tests: str) -> str:
    inner = {"passed": "", "failed": "<failure message='no'/>", "skipped": "<skipped/>"}
    return "<testsuite>" + "".join(CASE % (name, inner[status]) for name, status in tests.items()) + "</testsuite>"


def reporting(report: str, code: int = 0, **more: object) -> Gate:
    return run_gate(f'cat > "$REPORT" <<"END"\n{report}\nEND\nexit {code}', report=Report.JUNIT, **more)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world", {"WANTED": "yes", "TOKEN": "hunter2", "UNWANTED": "no", "GIT_DIR": "/nowhere"})


@pytest.fixture
def base(world: World) -> str:
    return world.trees.commit({"src/app.py": "one = 1\n", "sub/here": ""})


# --- environment ---------------------------------------------------------------------------------


def test_a_gate_sees_what_it_names_and_no_more(world: World, base: str) -> None:
    gate = run_gate("env", env=("WANTED", "GIT_DIR"), secrets=("TOKEN",))
    log = world.evidence(world.judge(gate, base, base, values={"TASK": "mend it"}), "log").decode()
    seen = dict(line.split("=", 1) for line in log.splitlines() if "=" in line)
    assert (seen["WANTED"], seen["TASK"], seen["INTERLOCK_SLOT"]) == ("yes", "mend it", "0")
    assert "UNWANTED" not in seen
    assert int(seen["INTERLOCK_PORT_LAST"]) - int(seen["INTERLOCK_PORT"]) == PORTS_EACH - 1
    assert "/gate-" in seen["HOME"]
    assert "/gate-" in seen["TMPDIR"]


def test_values_of_secrets_stay_out_of_evidence_and_findings(world: World, base: str) -> None:
    report = suite(a="failed").replace("'no'", "'$TOKEN'")
    gate = run_gate(f'echo $TOKEN; echo "{report}" > $REPORT; exit 1', secrets=("TOKEN",), report=Report.JUNIT)
    judgement = world.judge(gate, base, base)
    assert world.evidence(judgement, "log") == b"***\n"
    assert b"hunter2" not in world.evidence(judgement, "report")
    assert "hunter2" not in str(judgement)


def test_dir(world: World, base: str) -> None:
    assert world.judge(run_gate("test -f here", dir="sub"), base, base).status is PASSED
    assert world.judge(run_gate("true", dir="none"), base, base).status is ERRORED
    (world.trees.repository / "out").symlink_to("/")
    out = world.trees.seal()
    assert world.judge(run_gate("true", dir="out"), out, base, decided_on_input=True).status is FAILED


# --- its own checkout ----------------------------------------------------------------------------


def test_a_command_that_changes_files_of_its_checkout_is_named(world: World, base: str) -> None:
    gate = run_gate("sed -i s/one/two/ src/app.py; rm sub/here; touch sub/new")
    message = (
        "the command changed src/app.py, sub/here in its checkout; nothing of it is kept: use a command that only "
    )
    for cached in (False, True):  # and where its run was kept
        judgement = world.judge(gate, base, base)
        (note,) = judgement.findings
        assert (judgement.status, judgement.cached) == (PASSED, cached)
        assert (note.rule, note.severity) == ("changed_files", Severity.NOTE)
        assert note.message.startswith(message)
    failing = world.judge(run_gate("rm sub/here; exit 1"), base, base)
    assert [finding.severity for finding in failing.findings] == [Severity.ERROR, Severity.NOTE]


@pytest.mark.parametrize(
    "shell", ["touch src/app.py", "cp src/app.py x; mv x src/app.py", "chmod u+x src/app.py", "echo > src/made.py"]
)
def test_what_leaves_the_tracked_files_as_they_are_is_not_named(world: World, base: str, shell: str) -> None:
    assert world.judge(run_gate(shell), base, base).findings == ()


def test_what_setup_puts_in_the_place_of_tracked_files_is_not_named(world: World, base: str) -> None:
    gate = run_gate("rm -r sub")
    pipeline = replace(world.request(gate, base, base).pipeline, setup=(Setup(Line(shell="true"), paths=("sub",)),))
    assert world.judge(gate, base, base, pipeline=pipeline).findings == ()


def test_a_command_cannot_let_a_link_be_read(world: World, base: str) -> None:
    judgement = world.judge(run_gate("mkfifo p; mv p src/app.py; ln -sf /dev/zero sub/here"), base, base)
    assert "src/app.py, sub/here" in judgement.findings[0].message


# --- held-out files ------------------------------------------------------------------------------


def test_held_out_files_are_given_to_the_gate_alone_and_read_only(world: World, base: str, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    (hidden / "deep").mkdir(parents=True)
    (hidden / "deep/answer").write_text("42")
    shell = (
        "python3 -c 'import os; print(*(oct(os.stat(p).st_mode)[-3:] for p in"
        ' [os.environ["HELD_OUT"] + "/deep/answer", os.environ["HELD_OUT"] + "/deep"]))\';'
        ' grep 42 "$HELD_OUT/deep/answer"; case $HELD_OUT in "$PWD"*) exit 9;; esac; exit 5'
    )
    judgement = world.judge(run_gate(shell, held_out=str(hidden)), base, base)
    assert world.evidence(judgement, "log") == b"444 555\n42\n"
    assert [finding.secret for finding in judgement.findings] == [True]
    assert (hidden / "deep").stat().st_mode & 0o777 != 0o555


@needs_rooms
def test_in_a_room_the_product_cannot_write_to_held_out_files(world: World, base: str, tmp_path: Path) -> None:
    """Their modes are its own to change; a script among them would be read as it is then."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "answer").write_text("42")
    shell = (
        'set +e; chmod -R 777 "$HELD_OUT"; echo 7 > "$HELD_OUT/answer"; mv "$HELD_OUT" "$HELD_OUT.old";'
        ' echo r > "$REPORT"; cat "$HELD_OUT/answer" "$REPORT"; exit 5'
    )
    judgement = world.judge(run_gate(shell, held_out=str(hidden)), base, base, sandbox="full")
    assert world.evidence(judgement, "log").endswith(b"42r\n")


def test_held_out_files_that_are_gone(world: World, base: str, tmp_path: Path) -> None:
    judgement = world.judge(run_gate("true", held_out=str(tmp_path / "gone")), base, base, decided_on_input=True)
    assert (judgement.status, judgement.permanent, judgement.findings[0].secret) == (ERRORED, True, True)


def knowing(world: World, settings: dict[str, str], **environ: str) -> World:
    held_out = HeldOut(settings, environ, world.trees.repository)
    world.context = replace(world.context, held_out=held_out)
    world.referee = Referee(world.context)
    return world


def test_a_name_is_looked_up_in_the_environment_then_in_the_settings(world: World, base: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name)
    gate = run_gate('cat "$HELD_OUT/which"', held_out="which-one")
    knowing(world, {"which-one": str(tmp_path / "one")})
    first = world.judge(gate, base, base)
    assert world.evidence(first, "log") == b"one"
    (tmp_path / "one").rename(tmp_path / "moved")
    knowing(world, {"which-one": str(tmp_path / "moved")})
    assert world.judge(gate, base, base).cached  # the contents count, not where they lie
    knowing(world, {"which-one": str(tmp_path / "moved")}, INTERLOCK_HELD_OUT_WHICH_ONE=str(tmp_path / "two"))
    other = world.judge(gate, base, base)
    assert (world.evidence(other, "log"), other.cached) == (b"two", False)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", r"no setting says where .*`held_out: \{feature: .*settings.*INTERLOCK_HELD_OUT_FEATURE"),
        ("beside", "need an absolute path"),
        ("/no/such/folder", "do not exist"),
        ("@", "are in the repository"),
    ],
)
def test_a_name_that_leads_nowhere_decides_nothing(world: World, base: str, path: str, said: str) -> None:
    named = {"feature": path.replace("@", str(world.trees.repository / "src"))} if path else {}
    judgement = knowing(world, named).judge(run_gate("true", held_out="feature"), base, base, decided_on_input=True)
    assert (judgement.status, judgement.permanent, judgement.findings[0].secret) == (ERRORED, True, True)
    assert re.search(said, judgement.findings[0].message)


def test_where_they_are_laid_out_says_nothing_and_never_changes(world: World, base: str, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "test_a.py").write_text("")
    (tmp_path / "test_b.py").write_text("")
    said = []
    for number, source in enumerate(("hidden", "hidden", "test_b.py")):
        gate = run_gate(f'echo "${{HELD_OUT#$(dirname "$PWD")}}" {number}', held_out=str(tmp_path / source))
        said.append(world.evidence(world.judge(gate, base, base), "log").decode().split()[0])
    assert said == ["/beside/extra", "/beside/extra", "/beside/extra.py"]  # by its ending a program knows what it is


# --- reports against the baseline ----------------------------------------------------------------


def test_a_verdict_counts_the_tests_of_its_report(world: World, base: str) -> None:
    report = suite(a="passed", b="failed")
    assert world.judge(reporting(report, 1), base, base, subject=base_of("code")).tests == "2 tests, 1 failed"
    assert world.judge(reporting(suite(a="passed")), base, base, subject=base_of("code")).tests == "1 test"
    assert world.judge(run_gate("true"), base, base, subject=base_of("code")).tests == ""


def test_a_report_becomes_the_baseline_of_later_ones(world: World, base: str) -> None:
    before = world.judge(reporting(suite(a="passed", b="passed")), base, base, subject=base_of("code"))
    assert before.status is PASSED
    baseline = world.evidence(before, "report")
    now = world.judge(reporting(suite(a="passed")), base, base, baseline=baseline)
    assert [finding.rule for finding in now.findings] == ["test_vanished"]


@pytest.mark.parametrize(
    ("report", "code", "more", "status"),
    [
        (suite(a="passed"), 0, {}, PASSED),
        (suite(a="passed"), 2, {}, FAILED),
        (suite(a="passed", b="failed"), 0, {}, FAILED),
        (suite(a="passed", b="failed"), 1, {"baseline": Baseline.NO_WORSE}, PASSED),
        (suite(a="passed", b="passed"), 3, {"baseline": Baseline.NO_WORSE}, FAILED),
        (suite(a="passed", b="failed", n="failed"), 1, {"expect": Expect.NEW_TESTS_FAIL}, PASSED),
        (suite(a="passed", b="failed", n="passed"), 1, {"expect": Expect.NEW_TESTS_FAIL}, FAILED),
    ],
)
def test_exit_code_and_report(world: World, base: str, report: str, code: int, more, status) -> None:
    baseline = suite(a="passed", b="failed").encode()
    if not more:
        baseline = suite(a="passed").encode()
    assert world.judge(reporting(report, code, **more), base, base, baseline=baseline).status is status


def test_a_merge_is_compared_with_what_its_parts_were_accepted_with(world: World, base: str) -> None:
    baseline = suite(a="passed", b="passed").encode()
    merged = world.judge(reporting(suite(a="passed")), base, base, baseline=baseline, subject=input_of("code", 1))
    assert [finding.rule for finding in merged.findings] == ["test_vanished"]


def test_new_tests_cannot_be_told_without_a_baseline(world: World, base: str) -> None:
    gate = reporting(suite(n="failed"), 1, expect=Expect.NEW_TESTS_FAIL)
    assert world.judge(gate, base, base, decided_on_input=True).status is ERRORED
    assert world.judge(gate, base, base, subject=base_of("code")).status is PASSED


def test_sarif(world: World, base: str) -> None:
    place = {"physicalLocation": {"artifactLocation": {"uri": "here"}, "region": {"startLine": 4}}}
    results = [
        {"ruleId": "A", "level": "error", "message": {"text": "bad"}, "locations": [place]},
        {"ruleId": "B", "level": "warning", "message": {"text": "meh"}},
    ]

    def gate(*chosen: int, code: int) -> Gate:
        document = json.dumps({"version": "2.1.0", "runs": [{"results": [results[index] for index in chosen]}]})
        return run_gate(f"echo '{document}' > $REPORT; exit {code}", report=Report.SARIF, dir="sub")

    failed = world.judge(gate(1, 0, code=0), base, base)
    assert [(finding.rule, finding.file, finding.line) for finding in failed.findings] == [
        ("A", "sub/here", 4),
        ("B", "", 0),
    ]
    assert failed.status is FAILED
    warned = world.judge(gate(1, code=0), base, base)
    assert (warned.status, [finding.severity for finding in warned.findings]) == (PASSED, [Severity.WARNING])
    assert world.judge(gate(1, code=1), base, base).status is FAILED
    assert world.judge(gate(code=0), base, base).status is PASSED


# --- repeats and the cache -----------------------------------------------------------------------


def test_runs_that_agree(world: World, base: str) -> None:
    judgement = world.judge(run_gate("echo run", repeat=3), base, base)
    assert judgement.status is PASSED
    assert [item.name for item in judgement.evidence] == ["log", "log.2", "log.3"]
    assert world.trees.rooms == 3


def test_runs_that_disagree_decide_nothing(world: World, base: str, tmp_path: Path) -> None:
    count = tmp_path / "count"
    gate = run_gate(f"echo x >> {count}; test $(wc -l < {count}) != 2", repeat=3)
    judgement = world.judge(gate, base, base)
    assert (judgement.status, judgement.flaky, judgement.findings[0].rule) == (ERRORED, True, "flaky")
    assert len(judgement.evidence) == 3
    assert world.judge(gate, base, base).status is PASSED  # it was not kept


def test_the_same_is_judged_once(world: World, base: str) -> None:
    first = world.judge(run_gate("echo one; exit 1"), base, base)
    again = world.judge(run_gate("echo one; exit 1"), base, base)
    assert (first.cached, again.cached, world.trees.rooms) == (False, True, 1)
    assert replace(again, cached=False) == first


def test_what_a_run_hangs_on_is_in_its_key(world: World, base: str, tmp_path: Path) -> None:
    (tmp_path / "hidden").write_text("a")
    gate = run_gate("true", held_out=str(tmp_path / "hidden"), env=("WANTED",))
    setup = replace(world.request(gate, base, base).pipeline, setup=(Setup(Line(shell="true")),))
    first = world.judge(gate, base, base)
    other = world.trees.commit({"x": "y"}, base)
    again = world.trees.commit({}, base)
    assert world.judge(gate, base, base).cached
    different = [
        world.judge(replace(gate, timeout_s=5), base, base),
        world.judge(replace(gate, command=Line(shell="true; true")), base, base),
        world.judge(replace(gate, repeat=2), base, base),
        world.judge(gate, other, base),
        world.judge(gate, again, base),  # the same files, but `git log` says something else
        world.judge(gate, base, base, base_commit=again),
        world.judge(gate, base, base, sandbox="full"),
        world.judge(gate, base, base, values={"TASK": "x"}),
        world.judge(gate, base, base, pipeline=setup),
    ]
    world.trees.setup = "another package"
    different.append(world.judge(gate, base, base, pipeline=setup))
    (tmp_path / "hidden").write_text("b")
    different.append(world.judge(gate, base, base))
    assert not any(judgement.cached for judgement in different)
    assert len({judgement.digest for judgement in (first, *different)}) == 12


def test_the_same_run_is_judged_by_each_gate_anew(world: World, base: str) -> None:
    """Who asks, and what it is compared with, is no part of the run: another gate of another stage and pipeline."""
    gate = reporting(suite(a="passed", n="failed"), 1)
    failed = world.judge(gate, base, base, subject=base_of("code"))
    red = replace(gate, id="red", expect=Expect.NEW_TESTS_FAIL, digest="another")
    other = Stage("tests", agent="tester", gates=(red,))
    passed = world.judge(red, base, base, other, baseline=suite(a="passed").encode(), number=2, run="another")
    worse = world.judge(gate, base, base, baseline=suite(a="passed", b="passed", n="failed").encode())
    tolerant = replace(gate, baseline=Baseline.NO_WORSE)
    same = world.judge(tolerant, base, base, baseline=suite(a="passed", n="failed").encode())
    assert [one.status for one in (failed, passed, worse, same)] == [FAILED, PASSED, FAILED, PASSED]
    assert [one.cached for one in (failed, passed, worse, same)] == [False, True, True, True]
    assert [finding.rule for finding in worse.findings] == ["test_vanished", "test_failed"]
    assert failed.evidence == passed.evidence == worse.evidence
    assert len({one.digest for one in (failed, passed, worse, same)}) == 4
    assert world.trees.rooms == 1


def test_a_kept_run_says_what_it_said(world: World, base: str) -> None:
    for shell in ("seq 5000; exit 3", "echo fine"):
        first, again = (world.judge(run_gate(shell), base, base) for _ in range(2))
        assert again == replace(first, cached=True)
    assert "5000" in world.judge(run_gate("seq 5000; exit 3"), base, base).findings[0].message


def test_repeats_that_are_kept_are_judged_together(world: World, base: str) -> None:
    gate = run_gate("echo run", repeat=3)
    first, again = (world.judge(gate, base, base) for _ in range(2))
    assert again == replace(first, cached=True)
    assert world.trees.rooms == 3


def test_a_ready_gate_sees_nothing_of_the_run(world: World, base: str) -> None:
    ready = run_gate("env", used="python.test")
    values = {"TASK": "one", "INPUT_X": "1", "ARTIFACT_PLAN_PLAN": ".interlock/artifacts/plan/plan.md"}
    log = world.evidence(world.judge(ready, base, base, values=values), "log").decode()
    assert not [line for line in log.splitlines() if line.startswith(("TASK", "INPUT", "ARTIFACT", "INTERLOCK_RUN"))]
    assert world.judge(ready, base, base, values={"TASK": "another"}).cached


def test_documents_that_are_there_or_that_the_command_names(world: World, base: str) -> None:
    plan = ".interlock/artifacts/plan/plan.md"
    values = {"ARTIFACT_PLAN_PLAN": plan, "ARTIFACT_TESTS_NOTES": ".interlock/artifacts/tests/notes.md"}
    made = world.trees.commit({plan: "# Plan\n"}, base)
    log = world.evidence(world.judge(run_gate("env"), made, base, values=values), "log").decode()
    assert f"/{plan}\n" in log
    assert "ARTIFACT_TESTS_NOTES" not in log
    assert world.judge(run_gate("env"), made, base, values={"ARTIFACT_PLAN_PLAN": plan}).cached
    named = world.judge(run_gate("env; echo ${ARTIFACT_TESTS_NOTES:-}"), made, base, values=values)
    assert "/notes.md\n" in world.evidence(named, "log").decode()


def test_setup_that_is_unfit_is_the_candidates_failure(world: World, base: str) -> None:
    world.trees.unfit = UnfitSetup("setup fails on these files: no such package", b"all of it")
    pipeline = replace(world.request(run_gate("true"), base, base).pipeline, setup=(Setup(Line(shell="true")),))
    for _ in range(2):
        judgement = world.judge(run_gate("true"), base, base, pipeline=pipeline)
        assert (judgement.status, [finding.rule for finding in judgement.findings]) == (FAILED, ["setup"])
        assert world.evidence(judgement, "log") == b"all of it"
        assert not judgement.cached


def test_a_package_that_is_installed_meanwhile_changes_the_answer(world: World, base: str, tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python3"
    site = tmp_path / "venv/lib/python3/site-packages"
    python.parent.mkdir(parents=True)
    site.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho '[\"{site}\"]'\n")
    python.chmod(0o755)
    world.context.environ["PATH"] = f"{python.parent}:{world.context.environ['PATH']}"
    gate = run_gate("test ! -e /nowhere")
    world.judge(gate, base, base)
    assert world.judge(gate, base, base).cached
    (site / "plugin-1.0.dist-info").mkdir()
    assert not world.judge(gate, base, base).cached
    assert world.judge(gate, base, base).cached
    (site / "plugin-1.0.dist-info").rename(site / "plugin-1.1.dist-info")
    assert not world.judge(gate, base, base).cached


def test_what_is_not_kept(world: World, base: str) -> None:
    for gate in (run_gate("no-such-program"), run_gate("true", cached=False)):
        world.judge(gate, base, base)
        assert not world.judge(gate, base, base).cached
    for shell in ("kill -9 $$", "bash -c 'kill -9 $$'; exit $?", "exit 254"):
        assert [world.judge(run_gate(shell), base, base).cached for _ in range(2)] == [False, False]
    slow = run_gate("sleep 60", timeout_s=1)
    for _ in range(2):
        judgement = world.judge(slow, base, base, decided_on_input=True)
        assert (judgement.status, judgement.cached) == (FAILED, False)


def test_a_kept_verdict_without_its_evidence_is_judged_anew(world: World, base: str) -> None:
    judgement = world.judge(run_gate("echo evidence"), base, base)
    world.cellar.path(judgement.evidence[0].digest).unlink()
    assert not world.judge(run_gate("echo evidence"), base, base).cached


def test_two_at_once_are_judged_once(world: World, base: str, tmp_path: Path) -> None:
    gate = run_gate(f"echo x >> {tmp_path}/count; sleep 0.3")
    found = []
    threads = [threading.Thread(target=lambda: found.append(world.judge(gate, base, base))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(judgement.cached for judgement in found) == [False, True, True, True]
    assert (tmp_path / "count").read_text() == "x\n"


# --- locks and slots -----------------------------------------------------------------------------


def test_exclusive_gates_take_turns(world: World, base: str, tmp_path: Path) -> None:
    shell = f"mkdir {tmp_path}/alone; sleep 0.2; rmdir {tmp_path}/alone; : "
    gates = [run_gate(shell + str(number), exclusive=("db", "a/b")) for number in range(3)]
    found = []
    threads = [threading.Thread(target=lambda gate=gate: found.append(world.judge(gate, base, base))) for gate in gates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [judgement.status for judgement in found] == [PASSED] * 3


def test_waiting_for_a_lock_can_be_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with (
        hold_locks(tmp_path, ["db"], threading.Event()),
        pytest.raises(Cancelled),
        hold_locks(tmp_path, ["db"], cancel),
    ):
        pytest.fail("the lock was held twice")


def test_slots_differ_and_their_ports_do_not_meet(tmp_path: Path) -> None:
    none = threading.Event()
    slots = Slots(tmp_path)
    with slots.acquire(none) as one, slots.acquire(none) as two:
        assert (one.number, two.number) == (0, 1)
    with slots.acquire(none) as again:
        assert again.number == 0
    assert int(one.environment["INTERLOCK_PORT_LAST"]) < int(two.environment["INTERLOCK_PORT"])
    assert int(Slot(255).environment["INTERLOCK_PORT_LAST"]) < 32_768, "from here on systems give out ports themselves"


def test_where_all_slots_are_taken_one_waits(tmp_path: Path) -> None:
    """Also for those of another repository, whose slots are the same files."""
    cancel = threading.Event()
    cancel.set()
    with Slots(tmp_path, 1).acquire(threading.Event()), pytest.raises(Cancelled), Slots(tmp_path, 1).acquire(cancel):
        pytest.fail("one slot was taken twice")


def test_who_works_in_a_slot_stays_in_it(tmp_path: Path) -> None:
    """An agent that asks its gates would else wait for itself."""
    with Slots(tmp_path, 1).acquire(threading.Event()) as agents:
        within = Slots(tmp_path, 1, agents.environment)
        with within.acquire(threading.Event()) as gates:
            assert gates == agents


# --- produces ------------------------------------------------------------------------------------

SCHEMA = Text('{"type": "object", "properties": {"size": {"enum": ["small", "large"]}}}')
PRODUCES = (
    Artifact("plan", "plan.md", sections=("Goal", "Out of scope"), max_bytes=1000),
    Artifact("size", "size.json", schema=SCHEMA),
)
PLAN = ".interlock/artifacts/plan/plan.md"
SIZE = ".interlock/artifacts/plan/size.json"
GOOD = {PLAN: "# Goal\nx\n\nOut of scope\n---\n", SIZE: '{\n"size": "small"}'}


@pytest.mark.parametrize(
    ("files", "rules"),
    [
        (GOOD, []),
        ({SIZE: GOOD[SIZE]}, [("missing", PLAN, 0)]),
        ({**GOOD, PLAN: "# Goal\n"}, [("section", PLAN, 0)]),
        ({**GOOD, PLAN: " \n"}, [("empty", PLAN, 0)]),
        ({**GOOD, PLAN: "# Goal\n# Out of scope\n" + "x" * 1000}, [("size", PLAN, 0)]),
        ({**GOOD, SIZE: '{\n"size": "big"}'}, [("schema", SIZE, 2)]),
        ({**GOOD, SIZE: "{\n\n"}, [("schema", SIZE, 3)]),
    ],
)
def test_produces(world: World, base: str, files, rules) -> None:
    gate = Gate("produces", GateKind.PRODUCES)
    stage = Stage("plan", agent="planner", produces=PRODUCES, gates=(gate,))
    judgement = world.judge(gate, world.trees.commit(files, base), base, stage)
    assert [(finding.rule, finding.file, finding.line) for finding in judgement.findings] == rules
    assert judgement.status is (FAILED if rules else PASSED)


def test_an_artifact_that_is_a_link(world: World, base: str) -> None:
    world.trees.commit({SIZE: GOOD[SIZE]}, base)
    (world.trees.repository / PLAN).symlink_to("/etc/passwd")
    gate = Gate("produces", GateKind.PRODUCES)
    stage = Stage("plan", agent="planner", produces=PRODUCES, gates=(gate,))
    (finding,) = world.judge(gate, world.trees.seal(), base, stage).findings
    assert "is a symbolic link, not a regular file" in finding.message


def test_a_schema_that_is_none_decides_nothing(world: World, base: str) -> None:
    gate = Gate("produces", GateKind.PRODUCES)
    artifact = Artifact("size", "size.json", schema=Text('{"type": 7}', "size.schema.json"))
    stage = Stage("plan", agent="planner", produces=(artifact,), gates=(gate,))
    judgement = world.judge(gate, world.trees.commit(GOOD, base), base, stage)
    assert (judgement.status, judgement.permanent) == (ERRORED, True)
    assert "size.schema.json" in judgement.findings[0].message


def test_a_kept_run_whose_evidence_was_cut_short_is_run_again(world: World, base: str) -> None:
    judgement = world.judge(run_gate("echo evidence"), base, base)
    log = world.cellar.path(judgement.evidence[0].digest)
    log.chmod(0o644)
    log.write_bytes(b"")
    assert not world.judge(run_gate("echo evidence"), base, base).cached
