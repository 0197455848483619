"""Events as text and back, exactly; and the form of what is on users' disks, pinned."""

from __future__ import annotations

import gc
import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_args

import pytest

from interlock.core import conflicts, events
from interlock.core.events import Event, Evidence, Finding, Recorded, Usage, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.core.wire import encode_event
from interlock.journal import codec
from interlock.ports import InfrastructureError

_VERDICT = VerdictGiven(
    AttemptId("code", 1, 2),
    "code/test",
    1,
    VerdictStatus.FAILED,
    (Finding("test", "1 != 2", file="a\udcff.py"),),
    (Evidence("log", "ab", 3),),
)


def test_the_form_is_compact() -> None:
    assert encode_event(_VERDICT) == (
        r'["code/1.2","code/test",1,"failed",[["test","1 != 2","error","a\udcff.py"]],[["log","ab",3]]]'
    )


def test_export_names_the_fields() -> None:
    (line,) = codec.export("r1", [Recorded(7, 1.5, _VERDICT)])
    told = json.loads(line)
    assert (told["run"], told["seq"], told["at"], told["event"]) == ("r1", 7, 1.5, "VerdictGiven")
    assert told["subject"] == "code/1.2"
    assert told["findings"][0]["file"] == "a\udcff.py"
    assert told["findings"][0]["line"] == 0


@pytest.mark.parametrize(
    ("kind", "version", "body", "message"),
    [
        ("VerdictGiven", 99, "[]", "newer Interlock"),
        ("Unheard", 1, "[]", "Unheard"),
        ("WhenHeld", 1, "[]", "0 of at least 1 fields"),
        ("WhenHeld", 1, '["code/1.1",2]', "WhenHeld has 2 fields, and 1 are known here"),
        ("WhenHeld", 1, '["nothing"]', "no attempt"),
        ("WhenHeld", 1, "{", "damaged"),
        ("RunFinished", 1, '["unheard"]', "unheard"),
    ],
)
def test_what_cannot_be_read_is_said(kind: str, version: int, body: str, message: str) -> None:
    with pytest.raises(InfrastructureError, match=message):
        codec.decode(kind, version, body)
    with pytest.raises(InfrastructureError, match=message):
        codec.decode_rows([(5, 0.0, kind, version, body, b"")])


@pytest.mark.parametrize("bad", ["{", "[]", '["nothing"]', '["code/1.1"]]', '["code/1.1"],["code/1.2"'])
def test_the_first_of_many_that_cannot_be_read_is_named(bad: str) -> None:
    """They are parsed at once; what is wrong with one is said of that one."""
    bodies = ['["code/1.1"]', bad, '["code/1.2"]', "[]"]
    rows = [(seq, 0.0, "WhenHeld", 1, body, b"") for seq, body in enumerate(bodies, 1)]
    first = 4 if bad.startswith('["code/1.1"]') else 2  # what follows the first value of a body was never read
    with pytest.raises(InfrastructureError, match=f"WhenHeld at {first}"):
        codec.decode_rows(rows)
    assert [each.seq for each in codec.decode_rows(rows[: first - 1])] == list(range(1, first))


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_event(events.TimeReached(float("nan")))


def test_decoding_leaves_the_collector_as_it_was() -> None:
    assert gc.isenabled()
    codec.decode_rows([(1, 0.0, "WhenHeld", 1, '["code/1.1"]', b"")])
    assert gc.isenabled()


def test_an_input_kept_before_conflicts_had_kinds_is_still_read() -> None:
    old = codec.decode("InputPrepared", 1, '["join/1.0","c","t",["a","b"],["f.txt"]]')
    assert old == events.InputPrepared(AttemptId("join", 1, 0), "c", "t", ("a", "b"), ("f.txt",))


def test_undecided_conflicts_are_read_back_as_they_were() -> None:
    sides = (
        conflicts.Side("a", "c1", conflicts.SideChange.DELETED),
        conflicts.Side("b", "c2", conflicts.SideChange.CHANGED),
    )
    item = conflicts.Undecided("f\udcff.txt", "modify/delete", sides, "as b left it")
    made = events.InputPrepared(AttemptId("join", 1, 0), "c", "t", ("c1", "c2"), (item.path,), ("a", "b"), (item,))
    assert codec.decode("InputPrepared", 1, encode_event(made)) == made


# --- the form on disk ----------------------------------------------------------------------------
# A change here is a change of what lies on users' disks. A new field at the end with a default is fine: bring
# stored_form.txt up to date. Anything else needs a higher codec.VERSION, and a step that lifts what is older.

FORM = Path(__file__).with_name("stored_form.txt")


def test_the_stored_form_has_not_changed_unawares() -> None:
    kinds = (*get_args(Event), Answer, Finding, Evidence, Usage, conflicts.Side, conflicts.Undecided)
    form = [f"{kind.__name__}({', '.join(map(_field, fields(kind)))})" for kind in kinds]
    assert sorted(form) == sorted(FORM.read_text(encoding="utf-8").splitlines())


def _field(field) -> str:
    return field.name if field.default is MISSING else f"{field.name}={field.default!r}"
