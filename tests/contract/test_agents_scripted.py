"""The scripted agent as a real process: each behaviour, and the same again for the same seed."""

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from interlock.agents import adapters
from interlock.agents.kinds.scripted import FAULTS, BadScript, Behaviour, draw, inlined, load_script
from interlock.core.ids import AttemptId
from interlock.core.pipeline import AgentSpec
from interlock.ports import Brief, Checkout, Ended, Outcome

SCRIPT = {
    "stages": {
        "code": {
            "right": [
                {"replace": {"file": "app.py", "old": "- b", "new": "+ b"}},
                {"write": {"docs/new.md": "x" * 40}},
            ],
            "wrong": [{"replace": {"file": "app.py", "old": "- b", "new": "* b"}}],
            "tamper": [{"write": {"test_app.py": "pass\n"}}],
            "usage": {"tokens_in": 1000, "tokens_out": 100, "cost_usd": 0.1},
        },
        "plan": {"right": [{"write": {"$ARTIFACTS/plan.md": "# Goal\n"}}]},
    }
}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path / "p", tmp_path / "p/tree", tmp_path / "p/home", tmp_path / "p/tmp")
    for folder in (checkout.tree, checkout.home, checkout.tmp):
        folder.mkdir(parents=True)
    (checkout.tree / "app.py").write_text("def add(a, b):\n    return a - b\n")
    (checkout.tree / "test_app.py").write_text("assert add(1, 1) == 2\n")
    return checkout


def work(
    checkout: Checkout, stage: str = "code", number: int = 1, script: object = SCRIPT, **options: object
) -> Outcome:
    told = {"script": script, **options}
    spec = AgentSpec("coder", "scripted", options=tuple((name, json.dumps(value)) for name, value in told.items()))
    env = {"PATH": os.environ["PATH"], "ARTIFACTS": str(checkout.tree / ".interlock/artifacts" / stage)}
    brief = Brief("r", AttemptId(stage, 1, number), "Mend it.", "Mend it.", "", env, 30, 20)
    return adapters({}, checkout.root)["scripted"].work(spec, brief, checkout, threading.Event())


def files(checkout: Checkout) -> dict[str, str]:
    return {
        str(path.relative_to(checkout.tree)): path.read_text() for path in checkout.tree.rglob("*") if path.is_file()
    }


def test_right_work_with_pretended_usage(checkout: Checkout) -> None:
    outcome = work(checkout, rate=0)
    assert (outcome.ended, outcome.session) == (Ended.COMPLETED, "scripted:right")
    assert files(checkout)["app.py"].endswith("a + b\n")
    assert files(checkout)["docs/new.md"] == "x" * 40
    assert outcome.usage.tokens_in is not None
    assert 800 <= outcome.usage.tokens_in <= 1200
    assert outcome.message.endswith("all tests pass.")


def test_artifacts(checkout: Checkout) -> None:
    work(checkout, "plan", rate=0)
    assert files(checkout)[".interlock/artifacts/plan/plan.md"] == "# Goal\n"


def test_wrong_fix(checkout: Checkout) -> None:
    assert work(checkout, rate=1, kinds=["wrong_fix"]).ended is Ended.COMPLETED
    assert files(checkout)["app.py"].endswith("a * b\n")


def test_takes_turns_where_there_are_several_ways_to_be_wrong(checkout: Checkout) -> None:
    ways = [[{"write": {"app.py": name}}] for name in ("one", "two", "three")]
    script = {"stages": {"code": {"right": [], "wrong": ways}}}
    seen = []
    for number in (1, 2, 3, 4):
        work(checkout, number=number, script=script, rate=1, kinds=["wrong_fix"])
        seen.append(files(checkout)["app.py"])
    assert set(seen[:3]) == {"one", "two", "three"}
    assert seen[3] == seen[0]


def test_edited_test(checkout: Checkout) -> None:
    work(checkout, rate=1, kinds=["edited_test"])
    assert files(checkout)["test_app.py"] == "pass\n"


def test_crash_leaves_a_part(checkout: Checkout) -> None:
    outcome = work(checkout, rate=1, kinds=["crash"])
    assert (outcome.ended, outcome.exit_code) == (Ended.CRASHED, 70)
    assert "docs/new.md" not in files(checkout)
    assert files(checkout)["app.py"] == "def add(a, b):\n "


def test_lie(checkout: Checkout) -> None:
    before = files(checkout)
    outcome = work(checkout, rate=1, kinds=["lie"])
    assert outcome.ended is Ended.COMPLETED
    assert "tests pass" in outcome.message
    assert files(checkout) == before


def test_hang(checkout: Checkout) -> None:
    before = files(checkout)
    assert work(checkout, rate=1, kinds=["hang"], hang_s=0.3).ended is Ended.TIMED_OUT
    assert files(checkout) == before


def test_a_fault_that_the_script_has_no_work_for_is_not_drawn(checkout: Checkout) -> None:
    assert work(checkout, "plan", rate=1, kinds=["wrong_fix", "edited_test"]).session == "scripted:right"


def test_a_sequence_takes_the_place_of_chance(checkout: Checkout) -> None:
    script = json.loads(json.dumps(SCRIPT))
    script["stages"]["code"]["sequence"] = ["lie", "wrong_fix", "right"]
    said = [work(checkout, number=number, script=script).session for number in (1, 2)]
    assert said == ["scripted:lie", "scripted:wrong_fix"]


def test_a_script_in_a_file_with_patch_copy_and_delete(checkout: Checkout, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=checkout.tree, check=True)
    beside = checkout.root / "scripts"
    (beside / "up").mkdir(parents=True)
    (beside / "up/lib.py").write_text("lib = 1\n")
    (beside / "fix.patch").write_text(
        "--- a/app.py\n+++ b/app.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n"
    )
    (beside / "script.yaml").write_text(
        "stages: {code: {right: [{patch: fix.patch}, {copy: {from: up, to: src}}, {delete: test_app.py}]}}"
    )
    assert work(checkout, script="scripts/script.yaml", rate=0).ended is Ended.COMPLETED
    there = {name: text for name, text in files(checkout).items() if not name.startswith(".git/")}
    assert there == {"app.py": "def add(a, b):\n    return a + b\n", "src/lib.py": "lib = 1\n"}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"script": "missing.yaml"}, "missing.yaml: the script cannot be read"),
        ({"script": {"stages": {"other": {}}}}, "no entry for the stage 'code'"),
        ({"script": {"stages": {"code": {"rihgt": []}}}}, "'rihgt' is not one of"),
        ({"script": {"stages": {"code": {"right": [{"write": {"../x": ""}}]}}}}, "must be a relative path"),
        ({"script": {"stages": {"code": {"right": [{"patch": "none"}]}}}}, "no such file"),
        ({"rate": 2}, "between 0 and 1"),
        ({"kinds": ["sulk"]}, "'sulk' is not one of"),
        ({"sede": 2}, "'sede' is not one of"),
    ],
)
def test_what_is_wrong_with_a_script_is_said(checkout: Checkout, options, what: str) -> None:
    outcome = work(checkout, **options)
    assert (outcome.ended, outcome.permanent) == (Ended.UNAVAILABLE, True)
    assert what in outcome.message


LEADS_OUT = {
    "a script": "OUT/script.yaml",
    "a script, by its other form": {"file": "../out/script.yaml"},
    "a script behind a link": "link/script.yaml",
    "a patch": {"stages": {"code": {"right": [{"patch": "../out/key"}]}}},
    "a copy": {"stages": {"code": {"wrong": [[{"copy": {"from": "OUT/key", "to": "x"}}]]}}},
    "a folder with a link": {"stages": {"code": {"tamper": [{"copy": {"from": "linked", "to": "x"}}]}}},
    "the folder of git": {"stages": {"code": {"right": [{"copy": {"from": ".git/config", "to": "x"}}]}}},
}


@pytest.mark.parametrize("script", LEADS_OUT.values(), ids=LEADS_OUT)
def test_only_files_of_the_working_tree_are_sent_to_other_machines(tmp_path: Path, script: object) -> None:
    repository, out = tmp_path / "r", tmp_path / "out"
    for folder in (repository / "linked", repository / ".git", out):
        folder.mkdir(parents=True)
    (out / "key").write_text("secret\n")
    (repository / ".git/config").write_text("secret\n")
    (out / "script.yaml").write_text("stages: {code: {right: []}}\n")
    (repository / "link").symlink_to(out)
    (repository / "linked/key").symlink_to(out / "key")
    named = json.loads(json.dumps(script).replace("OUT", str(out)))
    load_script(named, repository)
    with pytest.raises(BadScript, match="it is not in the working tree of the repository"):
        inlined(named, repository)


def test_draws_are_the_same_for_the_same_seed_and_as_often_as_the_rate_says() -> None:
    attempts = [f"code/1.{number}" for number in range(1, 2001)]
    drawn = [draw(7, attempt, 0.2, FAULTS) for attempt in attempts]
    assert drawn == [draw(7, attempt, 0.2, FAULTS) for attempt in attempts]
    assert drawn != [draw(8, attempt, 0.2, FAULTS) for attempt in attempts]
    faults = [behaviour for behaviour in drawn if behaviour is not Behaviour.RIGHT]
    assert 340 <= len(faults) <= 460
    assert set(faults) == set(FAULTS)
