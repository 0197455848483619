"""A run that cannot be read, of a newer version or damaged, is one row that says so; the others go on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import anyio
import apsw
import pytest
from tests.contract.cli_world import World
from tests.contract.golden_world import BEFORE, TASKS, phases, runs, state_of, unpacked
from tests.contract.web.world import served

from interlock.mcp.tool import ToolError
from interlock.mcp.tools import Program

UNGUARDED = "DROP TRIGGER event_is_never_changed; DROP TRIGGER event_is_never_removed;"
OF = "run = (SELECT number FROM run WHERE id = '{run}')"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """As an upgrade has left it."""
    found = unpacked(BEFORE, tmp_path)
    assert phases(found) == TASKS
    return found


def change(world: World, sql: str) -> None:
    connection = apsw.Connection(str(state_of(world) / "journal.db"))
    connection.execute(sql)
    connection.close()


def test_a_run_of_a_newer_version_is_one_row(world: World) -> None:
    run = runs(world)["waits"]
    change(world, f"UPDATE remembered SET value = '{{\"format\": 9}}' WHERE kind = 'pipeline' AND key = '{run}'")
    assert phases(world) == {**{task: TASKS[task] for task in TASKS if task != "waits"}, run: "unreadable"}
    world.ask("list").ended(0, f"{run}  unreadable", "newer Interlock", "accepted")
    world.ask("status").ended(0, f"run {run} is unreadable", "newer Interlock")
    for words in (["show", run], ["status", run], ["cancel", run], ["resume", run], ["export", run], ["logs", run]):
        world.ask(*words).ended(5, f"run {run} cannot be read", "newer Interlock", "upgrade")
    world.ask("doctor").ended(5, run, "newer Interlock")
    world.ask("cancel", runs(world)["rejected"], "--plain").ended(0)


def test_a_verb_without_a_name_takes_no_other_run_for_one_that_cannot_be_read(world: World) -> None:
    known = runs(world)
    change(
        world, f"UPDATE remembered SET value = '{{\"format\": 9}}' WHERE kind = 'pipeline' AND key = '{known['waits']}'"
    )
    for task in TASKS:
        if task not in ("waits", "rejected"):
            world.ask("cancel", known[task])
    before = phases(world)
    world.ask("cancel").ended(2, "name a run", f"{known['waits']} cannot be read", known["rejected"])
    assert phases(world) == before


def test_gc_removes_nothing_of_a_run_that_it_cannot_read(world: World) -> None:
    """A finished one that can be read goes, once it is old. The base of the others could be any."""
    run, done = runs(world)["accepted"], runs(world)["joined"]
    change(world, f"UPDATE remembered SET value = '{{\"format\": 9}}' WHERE kind = 'pipeline' AND key != '{done}'")
    refs = state_of(world) / "store.git/refs"
    for path in refs.rglob("*"):
        os.utime(path, (0, 0))
    before = {path for path in refs.rglob("*") if path.is_file() and done not in str(path)}
    world.ask("gc").ended(0)
    assert not (refs / "interlock" / done).exists()
    assert (refs / "interlock" / run).is_dir()
    assert all(path.exists() for path in before)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "UPDATE event SET body = replace(body, 'passed', 'failed') WHERE seq > 3 AND {of}",
            "was changed: its digest does not match",
        ),
        ("UPDATE event SET at = at + 1 WHERE seq = 5 AND {of}", "event 5 was changed"),
        ("DELETE FROM event WHERE seq = 5 AND {of}", "event 5 is missing in the journal, but later ones exist"),
        ("DELETE FROM event WHERE seq > 7 AND {of}", "its history ends at event 7, but"),
        ("DELETE FROM event WHERE {of}", "its history ends at event 0, but"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM run WHERE id = '{run}'", "its history ends at event 0"),
        ("UPDATE event SET kind = 'Nonsense' WHERE seq = 5 AND {of}", "was changed: its digest does not match"),
    ],
)
def test_a_damaged_history_is_told_and_goes_no_further(world: World, sql: str, said: str) -> None:
    run = runs(world)["waits"]
    change(world, UNGUARDED + sql.format(of=OF.format(run=run), run=run))
    assert phases(world, 5) == {**{task: TASKS[task] for task in TASKS if task != "waits"}, run: "damaged"}
    world.ask("list").ended(5, f"{run}  damaged", said)
    for words in (["show", run], ["approve", run], ["resume", run]):
        world.ask(*words).ended(5, f"run {run} cannot be read", said)
    world.ask("doctor").ended(5, run, said)
    world.ask("show", runs(world)["accepted"]).ended(0)


def test_what_nothing_can_mend_is_set_aside_and_brought_back(world: World) -> None:
    run, fine = runs(world)["waits"], runs(world)["accepted"]
    change(world, f"{UNGUARDED} UPDATE event SET at = 0 WHERE seq = 5 AND {OF.format(run=run)}")
    world.ask("doctor", "--set-aside", fine).ended(2, f"run {fine} is accepted, and not damaged")
    world.ask("doctor", "--set-aside", run[-6:]).ended(0, f"run {run} is set aside: event 5 was changed")
    assert run not in world.ask("list", "--json").ended(0, "not listed: 1 damaged run").out
    world.ask("doctor").ended(0, f"1 damaged run, in no list ({run}): interlock doctor --bring-back RUN")
    world.ask("doctor", "--bring-back", run).ended(0, f"run {run} is listed again")
    assert phases(world, 5)[run] == "damaged"


def test_doctor_counts_what_is_whole_and_misses_evidence(world: World) -> None:
    known = runs(world)
    both = " OR ".join(OF.format(run=known[task]) for task in ("waits", "accepted"))
    change(world, f"{UNGUARDED} UPDATE event SET at = 0 WHERE seq = 5 AND ({both})")
    shutil.rmtree(state_of(world) / "blobs")
    looked = world.ask("doctor", "--json").ended(5).json()["looked"]
    told = {one["topic"]: (one["level"], one["text"]) for one in looked}
    assert told["journal"] == ("bad", "2 of 6 runs cannot be read; the others are intact")
    (topic,) = (topic for topic in told if topic.startswith("2 runs"))
    assert known["waits"] in topic
    assert known["accepted"] in topic
    assert told["evidence"][0] == "bad"
    assert "that the newest events name are missing or truncated" in told["evidence"][1]


def test_a_journal_that_is_gone_is_never_an_empty_list(world: World) -> None:
    known = runs(world)
    for path in state_of(world).glob("journal.db*"):
        path.unlink()
    for heads in (True, False):  # without them the refs of the store tell
        if not heads:
            shutil.rmtree(state_of(world) / "heads")
        listed = phases(world, 5)
        assert set(listed.values()) == {"damaged"}
        assert set(listed) == (set(known.values()) if heads else set(known.values()) & set(listed))
        assert known["accepted"] in listed
        world.ask("status").ended(5, "no run of this repository can be read")
        world.ask("doctor").ended(5, known["accepted"], "the journal does not contain it")
    before = sorted((state_of(world) / "store.git/refs").rglob("*"))
    world.ask("gc").ended(0)
    assert sorted((state_of(world) / "store.git/refs").rglob("*")) == before


def test_runs_that_nothing_but_the_folder_tells_of_are_missed(world: World) -> None:
    state, known = state_of(world), runs(world)

    def gone(*names: str) -> None:
        for path in state.glob("journal.db*"):
            path.unlink()
        for name in names:
            shutil.rmtree(state / name)

    gone("heads", "store.git")  # who drove them is still there
    assert known["accepted"] in phases(world, 5)
    gone("heads", "locks")
    for words in (["list"], ["doctor"]):
        world.ask(*words).ended(
            5, f"{state}/journal.db contains no runs, although some were recorded", "put the newest one back"
        )
    world.ask("run", "-p", "joined", "-t", "anew", "--plain").ended(
        0, "warning: before this, the journal", "contains no runs, although some were recorded"
    )
    assert phases(world) == {"anew": "accepted"}


def test_a_store_that_is_gone_is_told_with_the_way_out(tmp_path: Path) -> None:
    world = unpacked(BEFORE, tmp_path)
    known = runs(world)
    store = state_of(world) / "store.git"
    world.ask("doctor").ended(0, f"✓ store: {store}")
    store.rename(tmp_path / "kept")
    for words in (["doctor"], ["diff", known["accepted"]]):
        world.ask(*words).ended(
            5, f"{store}", "is missing, with the work of all runs", "restore it from a backup, or start the run again"
        )
    (tmp_path / "kept").rename(store)
    shutil.rmtree(store / "refs/bases")
    world.ask("doctor").ended(5, f"✗ store: {store} lacks the base of 3 runs", "restore it from a backup")


def test_a_lost_wal_is_told(tmp_path: Path) -> None:
    """As a kill leaves it: what is in the -wal alone is gone with it."""
    world = unpacked(BEFORE, tmp_path)
    journal = state_of(world) / "journal.db"
    before = tmp_path / "before.db"
    shutil.copy(journal, before)
    lost = runs(world)["in flight"]
    shutil.copy(before, journal)
    for path in state_of(world).glob("journal.db-*"):
        path.unlink()
    assert phases(world, 5)[lost] == "damaged"


def test_an_older_copy_of_the_journal_is_told(world: World, tmp_path: Path) -> None:
    run, journal = runs(world)["waits"], state_of(world) / "journal.db"
    shutil.copy(journal, tmp_path / "older.db")
    world.ask("approve", run, "--plain").ended(0)
    shutil.copy(tmp_path / "older.db", journal)
    assert phases(world, 5)[run] == "damaged"
    world.ask("show", run).ended(5, "were recorded")


def test_a_newer_store_is_refused_by_every_verb(world: World) -> None:
    known = runs(world)
    change(world, "PRAGMA user_version = 99")
    before = sorted(path for path in state_of(world).rglob("*"))
    run = known["waits"]
    verbs = [["list"], ["status"], ["show", run], ["logs", run], ["diff", run], ["watch", run], ["export", run], ["gc"]]
    verbs += [
        ["resume", run],
        ["approve", run],
        ["reject", run, "-m", "x"],
        ["retry", run],
        ["accept", f"{run}/code/1.1"],
    ]
    verbs += [["cancel", run], ["shell", f"{run}/code/1.3"], ["run", "-p", "never", "-t", "x"], ["check"], ["doctor"]]
    verbs += [["serve", "--port=0"]]
    for words in verbs:
        world.ask(*words).ended(5, "written by a newer Interlock", "upgrade Interlock")
    assert sorted(path for path in state_of(world).rglob("*") if not path.name.startswith("journal.db-")) == [
        path for path in before if not path.name.startswith("journal.db-")
    ]


def test_page_api_and_agents_are_told_the_same(world: World) -> None:
    run, known = runs(world)["waits"], runs(world)
    change(world, f"{UNGUARDED} UPDATE event SET at = 0 WHERE seq = 5 AND {OF.format(run=run)}")
    with served(world) as site, site.client() as client:
        page = client.get("/").text
        assert "event 5 was changed" in page
        assert f"interlock doctor --set-aside {run}" in page
        assert known["accepted"] in page
        listed = {one["id"]: one["phase"] for one in client.get("/api/v1/runs").json()["runs"]}
        assert (listed[run], listed[known["accepted"]]) == ("damaged", "accepted")
        for path in (f"/runs/{run}", f"/api/v1/runs/{run}"):
            found = client.get(path)
            assert found.status_code == 500
            assert "event 5 was changed" in found.text
        assert client.get(f"/runs/{known['accepted']}").status_code == 200
    program = Program(world.repository, world.environment())
    told = anyio.run(program.document, "list", "--json")
    assert [one["id"] for one in told["runs"] if one["phase"] == "damaged"] == [run]
    with pytest.raises(ToolError, match="event 5 was changed"):
        anyio.run(program.document, "status", "--json", run)


def test_doctor_says_what_is_whole_and_since_when(world: World) -> None:
    looked = {one["topic"]: one for one in world.ask("doctor", "--json").json()["looked"]}
    assert looked["journal"]["level"] == "ok"
    assert f"{len(TASKS)} runs, all intact" in looked["journal"]["text"]
    assert f"{len(TASKS)} of them started before events had digests" in looked["journal"]["text"]
