"""What the graph and the timeline of a run show."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.web.views import START, attempt, pipeline, run, stage, verdict

from interlock.web.axis import FULL, fold, position
from interlock.web.pictures import Bar, Timeline, depths, graph, timeline


def bars(shown: Timeline) -> list[Bar]:
    return [bar for lane in shown.lanes for bar in lane.bars]


# --- folding ------------------------------------------------------------------------------------------


def test_a_long_pause_is_narrow_and_knows_how_long_it_is() -> None:
    first, pause, last = fold(0, 7260, [(0, 30), (7230, 7260)])
    assert pause.folded
    assert (pause.start, pause.end, pause.seconds) == (30, 7230, 7200)
    assert pause.width == 4
    assert (first.width, last.width) == (48, 48)
    assert not first.folded
    assert not last.folded


def test_waits_at_both_ends_are_folded() -> None:
    assert [piece.folded for piece in fold(0, 1000, [(400, 420)])] == [True, False, True]


def test_short_pauses_keep_their_width() -> None:
    assert [piece.folded for piece in fold(0, 69, [(0, 30), (39, 69)])] == [False]  # below ten seconds
    assert [piece.folded for piece in fold(0, 1220, [(0, 600), (620, 1220)])] == [False]  # below 5 % of the work


def test_time_in_which_another_stage_works_is_no_pause() -> None:
    assert [piece.folded for piece in fold(0, 300, [(0, 10), (290, 300), (5, 295)])] == [False]


def test_where_nothing_was_at_work_nothing_is_folded() -> None:
    (only,) = fold(0, 500, [])
    assert (only.start, only.end, only.x, only.width, only.folded) == (0, 500, 0, FULL, False)


def test_the_longest_pauses_are_folded_twelve_at_most() -> None:
    starts = [sum(range(100, 100 + number)) + number for number in range(20)]
    pieces = fold(0, starts[-1] + 1, [(start, start + 1) for start in starts])
    folded = [round(piece.seconds) for piece in pieces if piece.folded]
    assert folded == list(range(107, 119))
    assert sum(piece.width for piece in pieces if piece.folded) == pytest.approx(36)


SPANS = st.lists(
    st.tuples(st.floats(0, 1e5), st.floats(0, 1e4)).map(lambda one: (one[0], one[0] + one[1])), max_size=20
)


@given(SPANS, st.floats(1, 1e5))
def test_the_pieces_are_all_the_time_and_all_the_axis(spans: list[tuple[float, float]], end: float) -> None:
    pieces = fold(0, end, spans)
    assert (pieces[0].start, pieces[-1].end, pieces[0].x) == (0, end, 0)
    assert pieces[-1].x + pieces[-1].width == pytest.approx(FULL)
    for one, two in pairwise(pieces):
        assert one.end == two.start
        assert one.x + one.width == pytest.approx(two.x)
    for piece in pieces:
        if piece.folded:
            assert not [span for span in spans if span[0] < piece.end and span[1] > piece.start]


@given(SPANS, st.lists(st.floats(0, 1e5), min_size=2))
def test_what_is_later_is_never_to_the_left(spans: list[tuple[float, float]], moments: list[float]) -> None:
    pieces = fold(0, 1e5, spans)
    places = [position(pieces, moment) for moment in sorted(moments)]
    assert all(one <= two + 1e-6 for one, two in pairwise(places))
    assert all(0 <= place <= FULL + 1e-6 for place in places)


# --- the timeline -------------------------------------------------------------------------------------


def test_attempts_gates_and_waits_have_bars_in_words() -> None:
    made = attempt("code/1.1", "accepted", 0, 20, verdict(25, "tests"), verdict(3625, "look", by="ann"))
    shown = timeline(run(stage("code", "accepted", "", made), phase="accepted", end=3625), START)
    assert [(bar.kind, bar.tone, bar.anchor) for bar in bars(shown)] == [
        ("work", "accepted", ""), ("gate", "passed", "#gate-tests"), ("wait", "passed", "#gate-look"),
    ]  # fmt: skip
    work, gate, wait = bars(shown)
    assert work.words.startswith("code/1.1, work: accepted, 20 s, ")
    assert gate.words.startswith("code/1.1, gate tests: passed, 5.0 s, ")
    assert wait.words.startswith("code/1.1, wait for a person, gate look: passed, 1 h 0 min, ")
    assert (wait.x, wait.width) == (96, 4)  # an hour, folded
    assert [round(piece.seconds) for piece in shown.folds] == [3600]


def test_what_waits_for_you_is_no_colour_of_what_passed() -> None:
    made = attempt("code/1.1", "judging", 0, 20, verdict(25, "tests"), asked=("code/look",))
    view = run(stage("code", "judging", "", made), phase="waiting", end=25)
    shown = timeline(view, START + 125)
    assert [(bar.kind, bar.tone, bar.result) for bar in bars(shown)] == [
        ("work", "asked", "waiting for you"), ("gate", "passed", "passed"), ("wait", "asked", "waiting for you"),
    ]  # fmt: skip
    assert bars(shown)[-1].end == START + 125
    (node,) = graph(pipeline(view), view).nodes
    assert (node.phase, node.icon, node.word) == ("asked", "?", "waiting for you")


def test_a_paused_stage_waits_up_to_now_and_only_while_the_run_is_not_over() -> None:
    paused = stage("code", "paused", "", attempt("code/1.1", "rejected", 0, 20, verdict(25, "tests", "failed")))
    waiting = bars(timeline(run(paused, phase="waiting"), START + 500))[-1]
    assert (waiting.kind, waiting.tone, waiting.start, waiting.end) == ("wait", "paused", START + 25, START + 500)
    assert bars(timeline(run(paused, phase="cancelled"), START + 500))[-1].kind == "gate"


def test_an_attempt_at_work_lasts_to_now_and_in_a_run_that_is_over_it_is_cut_off() -> None:
    working = stage("code", "working", "", attempt("code/1.1", "working", 10))
    assert [(bar.tone, bar.end) for bar in bars(timeline(run(working), START + 60))] == [("working", START + 60)]
    assert [bar.tone for bar in bars(timeline(run(working, phase="cancelled"), START + 60))] == ["ended"]


def test_time_in_which_perhaps_nobody_ran_the_run_is_neither_work_nor_a_gate() -> None:
    lost = attempt("code/1.1", "lost", 10, 3600)
    again = attempt("code/1.2", "accepted", 3600, 3620, verdict(7300, "tests"))
    view = run(stage("code", "accepted", "", lost, again), phase="accepted", end=7300)
    spans = ((0.0, 1.0), (30.0, 3600.0), (3621.0, 7280.0))  # in the first there was nothing to do
    view = replace(view, unowned=tuple((START + begin, START + end) for begin, end in spans))
    shown = timeline(view, START + 9000)
    assert [(bar.kind, bar.start - START, bar.end - START) for bar in bars(shown)] == [
        ("work", 10, 30), ("unsure", 30, 3600), ("work", 3600, 3620), ("unsure", 3621, 7280), ("gate", 7280, 7300),
    ]  # fmt: skip
    assert [bar.lasted for bar in bars(shown)] == [
        "at least 20 s",
        "at most 59 min 30 s",
        "20 s",
        "at most 1 h 0 min",
        "20 s",
    ]
    assert "code/1.1, work, or nobody ran it: lost, at most 59 min 30 s" in bars(shown)[1].words
    assert (bars(shown)[1].width, shown.bare) == (4, ())  # folded
    assert [(piece.start - START, piece.end - START) for piece in shown.unowned] == [(30, 3600), (3621, 7280)]
    assert [shown.nobody(piece) for piece in shown.folds] == [True, True]
    assert shown.unowned[0].x == shown.folds[0].x


def test_nobody_runs_what_is_interrupted_since_its_last_event() -> None:
    view = run(stage("code", "working", "", attempt("code/1.1", "working", 10)), phase="interrupted", end=20)
    shown = timeline(view, START + 500)
    assert [(piece.start, piece.end) for piece in shown.unowned] == [(START + 20, START + 500)]
    assert [(bar.kind, bar.start - START, bar.end - START) for bar in bars(shown)] == [
        ("work", 10, 20), ("unsure", 20, 500),
    ]  # fmt: skip
    silent = run(stage("code", "working", "", attempt("code/1.1", "working", 20)), phase="interrupted", end=20)
    (bar,) = bars(timeline(silent, START + 110))
    assert (bar.kind, bar.start, bar.end, bar.lasted) == ("unsure", START + 20, START + 110, "at most 1 min 30 s")


def test_an_attempt_that_the_next_owner_takes_over_is_at_work_again() -> None:
    view = run(stage("code", "working", "", attempt("code/1.1", "working", 10)), end=90)
    shown = timeline(replace(view, unowned=((START + 10, START + 90),)), START + 100)
    assert [(bar.kind, bar.start - START, bar.end - START) for bar in bars(shown)] == [
        ("unsure", 10, 90), ("work", 90, 100),
    ]  # fmt: skip


def test_who_waits_for_a_person_needs_nobody_to_run_the_run() -> None:
    made = attempt("code/1.1", "accepted", 0, 20, verdict(3600, "look", by="ann"))
    view = run(stage("code", "accepted", "", made), phase="accepted", end=3600)
    assert not timeline(replace(view, unowned=((START + 20, START + 3600),)), START + 3600).unowned


def test_gates_on_the_base_and_on_an_input_are_at_work() -> None:
    made = attempt("code/1.1", "accepted", 40, 60, verdict(90, "tests"))
    coded = replace(stage("code", "accepted", "", made), input_verdicts=(verdict(35, "when"),))
    view = replace(run(coded, phase="accepted", end=90), base_verdicts=(verdict(12, "tests"), verdict(30, "lint")))
    shown = timeline(view, START + 90)
    assert [lane.stage for lane in shown.lanes] == ["the base", "code"]
    assert [(bar.what, bar.start - START, bar.end - START) for bar in bars(shown)] == [
        ("gate tests on the base", 0, 12), ("gate lint on the base", 12, 30), ("gate when on the input", 30, 35),
        ("work", 40, 60), ("gate tests", 60, 90),
    ]  # fmt: skip
    assert not shown.folds
    owned = timeline(replace(view, unowned=((START, START + 2),)), START + 90)  # nobody had begun yet
    assert ([bar.start - START for bar in bars(owned)][:2], owned.unowned) == ([2, 12], ())
    first, work = bars(shown)[0], bars(shown)[3]
    assert (first.path, work.path, first.words[:32]) == (
        "#base",
        "/attempts/code/1.1",
        "the base, gate tests on the base",
    )


def test_attempts_at_the_same_time_have_rows_of_their_own() -> None:
    items = [attempt(f"code[{item}]/1.1", "accepted", start, end) for item, start, end in
             (("a", 0, 10), ("b", 1, 5), ("c", 6, 9), ("d", 10, 12))]  # fmt: skip
    shown = timeline(run(stage("plan", "accepted", "", attempt("plan/1.1", "accepted", 0, 1)),
                         stage("code", "accepted", "plan", *items)), START + 20)  # fmt: skip
    plan, code = shown.lanes
    assert [bar.row for bar in code.bars] == [0, 1, 1, 0]
    assert (plan.top, plan.rows, code.top, code.rows, shown.rows) == (0, 1, 1, 2, 3)


def test_of_many_items_no_lane_is_higher_than_eight_rows() -> None:
    items = [attempt(f"code[{number}]/1.1", "accepted", number, 50) for number in range(30)]
    shown = timeline(run(stage("code", "accepted", "", *items)), START + 60)
    assert shown.rows == 8


def test_the_table_has_the_newest_in_the_order_of_time() -> None:
    made = [attempt(f"code/1.{number}", "rejected", number * 10, number * 10 + 5) for number in range(1, 101)]
    more = [attempt(f"look/1.{number}", "rejected", number * 10 + 5, number * 10 + 9) for number in range(1, 121)]
    shown = timeline(run(stage("code", "rejected", "", *made), stage("look", "rejected", "", *more)), START + 2000)
    assert len(shown.table) == 200
    assert [bar.start for bar in shown.table] == sorted(bar.start for bar in shown.table)
    assert shown.older == 0  # the lanes show a hundred of each at most
    third = stage("end", "rejected", "", attempt("end/1.1", "rejected", 1900, 1950))
    shown = timeline(
        run(stage("code", "rejected", "", *made), stage("look", "rejected", "", *more), third), START + 2000
    )
    assert (len(shown.table), shown.older, shown.table[-1].attempt.id.stage) == (200, 1, "end")


def test_what_is_not_drawn_is_counted() -> None:
    def of(stages: int, attempts: int) -> Timeline:
        made = [
            stage(
                f"s{each}", "rejected", "", *(attempt(f"s{each}/1.{n}", "rejected", n, n + 1) for n in range(attempts))
            )
            for each in range(stages)
        ]
        return timeline(run(*made), START + 500)

    assert [(len(bars(of(*size))), of(*size).undrawn) for size in [(1, 100), (1, 101), (12, 60), (40, 21)]] == [
        (100, 0), (100, 1), (600, 120), (800, 40),
    ]  # fmt: skip


@given(st.floats(1, 3e6), st.lists(st.integers(1, 10**5), max_size=6))
def test_ticks_are_apart_and_on_the_axis(span: float, pauses: list[int]) -> None:
    at, made = 0.0, []
    for number, pause in enumerate(pauses):
        made.append(attempt(f"code/1.{number + 1}", "rejected", at, at + 30))
        at += 30 + pause
    made.append(attempt(f"code/1.{len(pauses) + 1}", "working", at))
    places = [tick.x for tick in timeline(run(stage("code", "working", "", *made)), START + at + span).ticks]
    assert places
    assert all(two - one >= 7.9 for one, two in pairwise(places))
    assert all(0 <= place < FULL for place in places)


# --- the graph ----------------------------------------------------------------------------------------


def test_a_chain_is_not_indented_and_branches_are() -> None:
    chain = {"a": (), "b": ("a",), "c": ("b",)}
    assert depths(chain) == {"a": 0, "b": 0, "c": 0}
    forked = {"a": (), "b": ("a",), "c": ("a",), "d": ("c",), "e": ("b", "d"), "f": ("e",)}
    assert depths(forked) == {"a": 0, "b": 1, "c": 1, "d": 1, "e": 0, "f": 0}
    assert depths({"a": (), "b": (), "c": ("a", "b")}) == {"a": 0, "b": 0, "c": 0}


def test_loops_say_how_often_they_were_taken() -> None:
    sent = [
        attempt("code/1.1", "rejected", 0, 5, sent_back_to="plan"),
        attempt("code/2.1", "rejected", 9, 12, sent_back_to="plan"),
    ]
    view = run(stage("plan", "accepted"), stage("code", "rejected", "plan", *sent))
    shown = graph(pipeline(view, "code>plan", "code>code", "code>gone"), view)
    assert [(loop.source, loop.target, loop.used, loop.most) for loop in shown.loops] == [
        ("code", "plan", 2, 3), ("code", "code", 0, 3),
    ]  # fmt: skip
    assert shown.data["edges"] == [["plan", "code"]]
    assert shown.nodes[1].detail == "2 attempts, 2nd time through"


def test_items_of_a_stage_are_cells_with_their_newest_attempt() -> None:
    made = [
        attempt("code[a]/1.1", "rejected", 0, 5),
        attempt("code[a]/1.2", "accepted", 6, 9),
        attempt("code[b]/1.1", "working", 0),
    ]
    view = run(stage("code", "working", "", *made))
    (node,) = graph(pipeline(view), view).nodes
    assert [(cell.item, cell.phase, cell.icon, cell.anchor) for cell in node.cells] == [
        ("a", "accepted", "✓", "attempt-code[a]/1.2"),
        ("b", "working", "▶", "attempt-code[b]/1.1"),
    ]
    many = run(stage("code", "working", "", *(attempt(f"code[{number}]/1.1", "working", 0) for number in range(75))))
    (node,) = graph(pipeline(many), many).nodes
    assert (len(node.cells), node.more) == (60, 15)


@pytest.mark.parametrize(
    "phase", ["waiting", "ready", "working", "judging", "rejected", "paused", "accepted", "skipped"]
)
def test_every_state_has_an_icon(phase: str) -> None:
    view = run(stage("code", phase))
    (node,) = graph(pipeline(view), view).nodes
    assert node.icon
    assert node.word == ("paused, needs you" if phase == "paused" else phase)
    assert node.icon != "✓" or phase == "accepted"
