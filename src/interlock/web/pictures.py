"""The data of a run's graph and timeline. Pure, but for the time zone of the ticks.

Rule: a picture shows nothing that the page does not say in words too.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from interlock.core.pipeline import Pipeline
from interlock.core.state import Phase
from interlock.readmodel.history import AttemptPhase, AttemptView, Span, VerdictView
from interlock.readmodel.run import OVER, RunPhase, RunView, StageView, attempt_word, stage_word
from interlock.service.formats import duration, ordinal
from interlock.web.axis import FULL, Piece, fold, merged_spans, position

_SHOWN_MAX, _SHOWN_LEAST, _SHOWN_ALL = 100, 20, 600  # attempts of a stage, the newest; of all stages about
_CELLS_MAX = 60  # items of a stage
_ROWS_MAX = 8  # of a lane: attempts at the same time
_TABLE_MAX = 200  # rows, the newest
_LEAST = 0.3  # percent: shorter bars would not be visible
_TICK = 8.0  # percent: the least distance of two ticks
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)  # seconds

UNSURE = "unsure"
ASKED, _FOR_YOU = "asked", "waiting for you"
_WORDS: dict[str, str] = {Phase.PAUSED: "paused, needs you"}
_ICONS: dict[str, str] = {
    ASKED: "?", Phase.ACCEPTED: "✓", Phase.REJECTED: "✗", Phase.WORKING: "▶", Phase.JUDGING: "◆", Phase.PAUSED: "‖",
    Phase.SKIPPED: "»", "passed": "✓", "failed": "✗", "errored": "!", "lost": "!", "ended": "■",
}  # fmt: skip


# --- the graph ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One instance of a stage that has several."""

    item: str
    phase: str
    icon: str
    word: str
    anchor: str  # of its newest attempt


@dataclass(frozen=True, slots=True)
class Node:
    """A stage. `phase` is a CSS class; `depth` is the indent in the list; `more` are items without a cell."""

    id: str
    phase: str
    icon: str
    word: str
    worker: str
    detail: str
    needs: tuple[str, ...]
    depth: int
    cells: tuple[Cell, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A way back, and how often it was taken."""

    source: str
    target: str
    used: int
    most: int


@dataclass(frozen=True, slots=True)
class Graph:
    nodes: tuple[Node, ...]
    loops: tuple[Loop, ...]

    @property
    def data(self) -> dict[str, object]:
        """For the script that draws it."""
        edges = [[need, node.id] for node in self.nodes for need in node.needs]
        return {
            "nodes": [asdict(node) for node in self.nodes],
            "edges": edges,
            "loops": [asdict(x) for x in self.loops],
        }


def graph(pipeline: Pipeline, view: RunView) -> Graph:
    """Stages, their needs, and the loops back with how often they were used."""
    known = {stage.id for stage in view.stages}
    sent = Counter((stage.id, attempt.sent_back_to) for stage in view.stages for attempt in stage.attempts)
    needs = {stage.id: tuple(need for need in stage.needs if need in known) for stage in view.stages}
    deep = depths(needs)
    loops = {
        (stage.id, rule.goto): Loop(stage.id, rule.goto, sent[stage.id, rule.goto], rule.max)
        for stage in pipeline.stages
        for rule in stage.on_reject
        if rule.goto and {stage.id, rule.goto} <= known
    }
    nodes = tuple(_node(stage, view.phase, needs[stage.id], deep[stage.id]) for stage in view.stages)
    return Graph(nodes, tuple(loops.values()))


def depths(needs: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """How far each stage is indented in a list: one more after a fork, one less after a join; a chain is one line.
    `needs` is in topological order."""
    followers = Counter(need for of_one in needs.values() for need in of_one)
    deep: dict[str, int] = {}
    for stage, before in needs.items():
        if len(before) > 1:
            deep[stage] = max(0, min(deep[need] for need in before) - 1)
        else:
            deep[stage] = sum(deep[need] + (followers[need] > 1) for need in before)
    return deep


def _node(stage: StageView, run: RunPhase, needs: tuple[str, ...], depth: int) -> Node:
    phase, word = _stage_state(stage, run)
    tried = len(stage.attempts)
    attempts = f"{tried} attempt{'' if tried == 1 else 's'}" if tried else ""
    rounds = f"{ordinal(stage.epoch)} time through" if stage.epoch > 1 else ""
    newest = {attempt.id.item: attempt for attempt in stage.attempts if attempt.id.item}
    cells = tuple(_cell(item, attempt, run) for item, attempt in newest.items())
    return Node(
        id=stage.id,
        phase=phase,
        icon=_icon(phase),
        word=word,
        worker=stage.worker,
        detail=", ".join(part for part in (attempts, rounds) if part),
        needs=needs,
        depth=depth,
        cells=cells[:_CELLS_MAX],
        more=max(0, len(cells) - _CELLS_MAX),
    )


def _cell(item: str, attempt: AttemptView, run: RunPhase) -> Cell:
    phase, word = _attempt_state(attempt, run)
    return Cell(item, phase, _icon(phase), word, f"attempt-{attempt.id}")


def _stage_state(stage: StageView, run: RunPhase) -> tuple[str, str]:
    """Its class, and its word. What the end of the run left unfinished is `ended`."""
    word = stage_word(stage, run)
    if word == Phase.JUDGING and stage.attempts and stage.attempts[-1].asked:
        return ASKED, _FOR_YOU
    return (word, _WORDS.get(word, word)) if word == stage.phase else ("ended", word)


def _attempt_state(attempt: AttemptView, run: RunPhase) -> tuple[str, str]:
    word = attempt_word(attempt, run)
    if word == AttemptPhase.JUDGING and attempt.asked:
        return ASKED, _FOR_YOU
    return (word, word) if word == attempt.phase else ("ended", word)


def _icon(phase: str) -> str:
    return _ICONS.get(phase, "…")


# --- the timeline -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A duration; `x` and `width` are percent of the axis. `kind` is work, gate, wait, or unsure: at work, or
    nobody ran the run. `tone` is a CSS class, `anchor` the place of its verdict on the page of the attempt."""

    kind: str
    tone: str
    icon: str
    what: str
    result: str
    start: float
    end: float
    attempt: AttemptView | None  # None: it is on the base, or on the input of a stage
    anchor: str = ""
    x: float = 0.0
    width: float = 0.0
    row: int = 0

    @property
    def subject(self) -> str:
        return str(self.attempt.id) if self.attempt else self.what.rpartition(" on ")[2]

    @property
    def path(self) -> str:
        """Its address, below that of the run."""
        made = self.attempt.id if self.attempt else None
        return f"/attempts/{made.stage}/{made.epoch}.{made.number}{self.anchor}" if made else self.anchor

    @property
    def is_tall(self) -> bool:
        """Work is, and a gate that says no: it does not differ by its colour alone."""
        return self.kind in ("work", UNSURE) or (self.kind == "gate" and self.tone != "passed")

    @property
    def lasted(self) -> str:
        """Of a lost attempt nobody saw the end."""
        if self.kind == UNSURE:
            return f"at most {duration(self.end - self.start)}"
        return f"{'at least ' if self.kind == 'work' and _is_lost(self) else ''}{duration(self.end - self.start)}"

    @property
    def words(self) -> str:
        return f"{self.subject}, {self.what}: {self.result}, {self.lasted}, {_clock(self.start)} to {_clock(self.end)}"


@dataclass(frozen=True, slots=True)
class Lane:
    """`rows` is more than one where attempts were at work at the same time; `top` is the number of rows above it."""

    stage: str
    rows: int
    top: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """`unowned` is time of attempts and gates in which perhaps nobody ran the run. `table` are the newest bars, in the
    order of time; `older` is the number of those that it leaves out. `undrawn` is the number of earlier attempts that
    nothing shows."""

    lanes: tuple[Lane, ...]
    folds: tuple[Piece, ...]
    unowned: tuple[Piece, ...]
    ticks: tuple[Tick, ...]
    table: tuple[Bar, ...]
    older: int
    rows: int
    undrawn: int

    @property
    def bare(self) -> tuple[Piece, ...]:
        """Where it is `unowned`, and no bar says so."""
        unsure = [bar for lane in self.lanes for bar in lane.bars if bar.kind == UNSURE]
        return tuple(one for one in self.unowned
                     if not any(bar.start < one.end and bar.end > one.start for bar in unsure))  # fmt: skip

    def nobody(self, piece: Piece) -> bool:
        """Whether most of a folded pause is time in which perhaps nobody ran the run."""
        return sum(min(piece.end, one.end) - max(piece.start, one.start) for one in self.unowned
                   if one.start < piece.end and one.end > piece.start) * 2 > piece.seconds  # fmt: skip


def timeline(view: RunView, now: float) -> Timeline:
    """The newest attempts of each stage, gates and waits on one axis, up to the newest event of a run that is over,
    else to `now`. Time in which nothing is at work, or nobody runs the run, is folded."""
    end = max(view.at if view.phase in OVER else now, view.started_at + 0.1)
    begun = [stage for stage in view.stages if stage.attempts]
    most = max(_SHOWN_LEAST, min(_SHOWN_MAX, _SHOWN_ALL // max(1, len(begun))))
    full = {stage.id: tuple(_bars(stage, view.phase, end, most)) for stage in begun}
    full = _with_inputs(view, full, most)
    unowned = _unowned(view, end, [bar for bars in full.values() for bar in bars if bar.kind != "wait"])
    found = {stage: tuple(part for bar in bars for part in _owned(bar, unowned)) for stage, bars in full.items()}
    every = sorted((bar for bars in found.values() for bar in bars), key=lambda bar: (bar.start, bar.end))
    busy = ((bar.start, bar.start if bar.kind == UNSURE else bar.end) for bar in every if bar.kind != "wait")
    pieces = fold(view.started_at, end, busy)
    lanes: list[Lane] = []
    for stage, bars in found.items():
        placed = tuple(_placed(bar, pieces) for bar in _in_rows(bars))
        rows = 1 + max(bar.row for bar in placed)
        lanes.append(Lane(stage, rows, sum(lane.rows for lane in lanes), placed))
    folds = tuple(piece for piece in pieces if piece.folded)
    table = tuple(every[-_TABLE_MAX:])
    rows, undrawn = sum(lane.rows for lane in lanes), sum(max(0, len(stage.attempts) - most) for stage in begun)
    gone = tuple(_spread(span, pieces) for span in unowned)
    return Timeline(tuple(lanes), folds, gone, tuple(_ticks(pieces)), table, len(every) - len(table), rows, undrawn)


def _bars(stage: StageView, run: RunPhase, end: float, most: int) -> Iterator[Bar]:
    before = 0.0
    for attempt in stage.attempts[-most:]:
        phase, word = _attempt_state(attempt, run)
        done = attempt.ended_at or (
            end if attempt.phase is AttemptPhase.WORKING and run not in OVER else attempt.started_at
        )
        yield Bar("work", phase, _icon(phase), "work", word, attempt.started_at, done, attempt)
        before = done
        for item in sorted(attempt.verdicts, key=lambda one: one.at):
            gate, status = item.verdict.gate.rpartition("/")[2], item.verdict.status.value
            kind = "wait" if item.verdict.by else "gate"
            what = f"wait for a person, gate {gate}" if item.verdict.by else f"gate {gate}"
            anchor = f"#gate-{gate}" + (f".{item.verdict.number}" if item.verdict.number > 1 else "")
            yield Bar(kind, status, _icon(status), what, status, min(before, item.at), item.at, attempt, anchor)
            before = max(before, item.at)
        for asked in attempt.asked if phase == ASKED else ():
            gate = asked.rpartition("/")[2]
            yield Bar("wait", ASKED, "?", f"wait for a person, gate {gate}", word, min(before, end), end, attempt)
    if stage.phase is Phase.PAUSED and run not in OVER:
        yield Bar("wait", "paused", "‖", "pause", _FOR_YOU, min(before, end), end, stage.attempts[-1])


def _with_inputs(view: RunView, full: dict[str, tuple[Bar, ...]], most: int) -> dict[str, tuple[Bar, ...]]:
    """With the gates on the base, a lane of their own, and on the inputs of stages. Such a gate began at the earliest
    when what ended before it had."""
    ends = [next((two for one, two in view.unowned if one <= view.started_at), view.started_at)]  # the first owner
    ends += [item.at for item in view.base_verdicts]
    ends += [bar.end for bars in full.values() for bar in bars]

    def bars(verdicts: Sequence[VerdictView], of: str, anchor: str) -> Iterator[Bar]:
        before = 0.0
        for item in verdicts[-most:]:
            start = max(before, *(end if end < item.at else 0.0 for end in ends))
            gate, status = item.verdict.gate.rpartition("/")[2], item.verdict.status.value
            what, before = f"gate {gate} on {of}", item.at
            yield Bar("gate", status, _icon(status), what, status, start or item.at, item.at, None, anchor)

    base = tuple(bars(view.base_verdicts, "the base", "#base"))
    inputs = {stage.id: stage.input_verdicts for stage in view.stages}
    lanes = {name: (*bars(inputs[name], "the input", f"#stage-{name}"), *found) for name, found in full.items()}
    return {"the base": base, **lanes} if base else lanes


def _unowned(view: RunView, end: float, bars: Iterable[Bar]) -> list[Span]:
    """When perhaps nobody ran the run and an attempt or a gate was not at its end."""
    spans = [(one, two) for one, two in view.unowned for bar in bars if bar.start < two and bar.end > one]
    if view.phase is RunPhase.INTERRUPTED:
        spans.append((view.at, end))
    return [span for span in merged_spans(view.started_at, end, spans) if span[0] < span[1]]


def _owned(bar: Bar, unowned: Iterable[Span]) -> Iterator[Bar]:
    """The bar in parts: what was seen, and what may have been work or not. The verdict of a gate is of after it; of a
    lost attempt nothing was seen any more."""
    at = bar.start
    for begin, to in unowned if bar.kind != "wait" else ():
        if at < to and bar.end > begin:
            if bar.kind == "work" and begin > at:
                yield replace(bar, start=at, end=begin)
            first, at = max(at, begin), min(bar.end, to)
            yield replace(bar, kind=UNSURE, what=f"{bar.what}, or nobody ran it", start=first, end=at)
    if at == bar.start or bar.kind == "gate" or (at < bar.end and not _is_lost(bar)):
        yield replace(bar, start=at)


def _is_lost(bar: Bar) -> bool:
    return bar.attempt is not None and bar.attempt.phase is AttemptPhase.LOST


def _spread(span: Span, pieces: Sequence[Piece]) -> Piece:
    left, right = position(pieces, span[0]), position(pieces, span[1])
    return Piece(*span, x=left, width=right - left, folded=False)


def _in_rows(bars: Sequence[Bar]) -> Iterator[Bar]:
    """Each attempt in the first row that is free when it starts."""
    ends: dict[str, float] = {}
    for bar in bars:
        ends[bar.subject] = max(ends.get(bar.subject, 0.0), bar.end)
    free: list[float] = []  # when each row is free again
    rows: dict[str, int] = {}
    for bar in bars:
        if bar.subject not in rows:
            row = next((number for number, end in enumerate(free) if end <= bar.start), min(len(free), _ROWS_MAX - 1))
            free[row : row + 1] = [ends[bar.subject]]
            rows[bar.subject] = row
        yield replace(bar, row=rows[bar.subject])


def _placed(bar: Bar, pieces: Sequence[Piece]) -> Bar:
    left, right = position(pieces, bar.start), position(pieces, bar.end)
    return replace(bar, x=round(min(left, FULL - _LEAST), 2), width=round(max(_LEAST, right - left), 2))


def _ticks(pieces: Sequence[Piece]) -> Iterator[Tick]:
    """Times of day at equal distances, and where time goes on after a fold."""
    plain = [piece for piece in pieces if not piece.folded]
    scale = max((piece.width / piece.seconds for piece in plain if piece.seconds), default=1.0)
    step = next((step for step in _STEPS if step * scale >= _TICK), _STEPS[-1] * 7)
    last, day = -FULL, ""
    for piece in plain:
        first = (piece.start // step + 1) * step
        count = int(max(0.0, piece.end - first) // step) + 1 if first <= piece.end else 0
        for moment in [piece.start, *(first + step * number for number in range(count))]:
            x = position((piece,), moment)
            if x - last < _TICK or x > FULL - _TICK / 2:
                continue
            today = time.strftime("%d %b", time.localtime(moment))
            label = _clock(moment)[: 8 if step < 60 else 5]
            yield Tick(round(x, 2), f"{today} {label}" if day and today != day else label)
            last, day = x, today


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))
