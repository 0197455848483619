"""What an older version wrote still reads, and what a newer one wrote is refused as such."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, make_dataclass
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from interlock.core.codec import APART, Bound, NewerFormat, array_reader, array_writer, object_reader, object_writer
from interlock.core.events import Event
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.core.pipeline import Pipeline
from interlock.gates.kinds import all_kinds
from interlock.journal import codec as journal
from interlock.pipelinefile import decode_pipeline
from interlock.pipelinefile.codec import OF_EVERY_GATE
from interlock.ports import InfrastructureError

RECORDED = (Pipeline, *(kind.options for kind in all_kinds() if kind.options))
SHAPES = Path(__file__).parents[2] / "golden" / "shapes.json"  # field names of each type, as they were released


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True)
class Tree:
    """`size` and `leaves` are newer than what `OLD` was written by."""

    name: str
    size: float = 2.5
    leaves: tuple[Leaf, ...] = (Leaf("first"),)
    root: Leaf | None = None


FULL = Tree("oak", 1.0, (Leaf("a"), Leaf("b")), Leaf("r"))


def test_both_layouts_are_exact() -> None:
    assert array_reader(Tree)(json.loads(json.dumps(array_writer(Tree)(FULL)))) == FULL
    assert object_reader(Tree)(json.loads(json.dumps(object_writer(Tree)(FULL)))) == FULL


def test_every_form_of_a_field_is_written_and_read() -> None:
    """Of a class made anew: readers and writers are compiled once for each class."""
    leaf = make_dataclass("NewLeaf", [("name", str), ("colour", Colour, Colour.RED)], frozen=True, slots=True)
    forms: list[tuple[str, Any, object, object]] = [
        ("attempt", AttemptId, AttemptId("code", 1, 2), "code/1.2"),
        ("bound", Bound, 2.0, 2.0),
        ("unbound", Bound, inf, None),
        ("colour", Colour, Colour.RED, "red"),
        ("pair", tuple[str, int], ("a", 1), ("a", 1)),
        ("words", tuple[str, ...], ("a", "b"), ("a", "b")),
        ("attempts", tuple[AttemptId, ...], (AttemptId("a", 1, 0),), ["a/1.0"]),
        ("word", str | None, "w", "w"),
        ("no_word", str | None, None, None),
        ("maybe", AttemptId | None, AttemptId("b", 2, 1), "b/2.1"),
        ("nobody", AttemptId | None, None, None),
        ("size", float, 1.5, 1.5),
        ("whole", float, 3, 3),
        ("yes", bool, True, True),
    ]
    branch = make_dataclass(
        "Branch",
        [
            *((name, hint) for name, hint, _, _ in forms),
            ("leaf", leaf),
            ("leaves", tuple[leaf, ...]),
            ("last", leaf | None, None),
        ],
        frozen=True,
        slots=True,
    )
    value = branch(*(each for _, _, each, _ in forms), leaf("x"), (leaf("y"), leaf("z")))
    array = [*(each for *_, each in forms), ["x"], [["y"], ["z"]]]
    assert array_writer(branch)(value) == array
    assert array_reader(branch)(json.loads(json.dumps(array))) == value
    named = {name: each for name, _, _, each in forms}
    named |= {"leaf": {"name": "x", "colour": "red"}, "last": None}
    named |= {"leaves": [{"name": "y", "colour": "red"}, {"name": "z", "colour": "red"}]}
    assert object_writer(branch)(value) == named
    assert object_reader(branch)(json.loads(json.dumps(named))) == value


def test_fields_that_are_apart_or_hidden_are_neither_written_nor_read() -> None:
    @dataclass
    class Kept:
        name: str
        told: str = field(default="", metadata=APART)
        _seen: str = ""

    assert array_writer(Kept)(Kept("a", "b", "c")) == ["a"]
    assert object_writer(Kept)(Kept("a", "b", "c")) == {"name": "a"}
    with pytest.raises(NewerFormat, match="Kept has _seen, told, not known here"):
        object_reader(Kept)({"name": "a", "told": "b", "_seen": "c"})


@pytest.mark.parametrize(
    ("hint", "value", "said"),
    [
        (str, 1, "1 is no str"),
        (str, None, "None is no str"),
        (int, 1.5, "1.5 is no int"),
        (int, True, "True is no int"),
        (float, "1", "'1' is no float"),
        (bool, 1, "1 is no bool"),
        (str | None, 1, "1 is no str"),
        (list[int], [], "no form for a field of type"),
        (str | int | None, "a", "no form for a field of type"),
    ],
)
def test_a_value_of_another_type_is_refused(hint: Any, value: object, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        object_reader(make_dataclass("One", [("only", hint)]))({"only": value})


def test_an_array_or_object_of_another_shape_is_refused() -> None:
    two = make_dataclass("Two", [("name", str), ("size", int), ("more", int, 0)], slots=True)
    with pytest.raises(ValueError, match="1 of at least 2 fields of Two"):
        array_reader(two)(["a"])
    for value in ([], "a", None):
        with pytest.raises(TypeError, match="is no Two"):
            object_reader(two)(value)  # type: ignore[arg-type]
    coloured = make_dataclass("Coloured", [("colour", Colour)])
    with pytest.raises(TypeError, match="is no Colour"):
        object_reader(coloured)({"colour": 3})


def test_what_an_older_version_did_not_know_has_its_default() -> None:
    assert array_reader(Tree)(["oak"]) == Tree("oak")
    assert object_reader(Tree)({"name": "oak"}) == Tree("oak")
    assert object_reader(Tree)({"name": "oak", "root": {"name": "r"}}) == Tree("oak", root=Leaf("r"))


def test_what_a_newer_version_added_is_refused_as_such() -> None:
    with pytest.raises(NewerFormat, match="Tree has 5 fields, and 4 are known here"):
        array_reader(Tree)(["oak", 1.0, [], None, "more"])
    with pytest.raises(NewerFormat, match="Leaf has age, not known here"):
        object_reader(Tree)({"name": "oak", "root": {"name": "r", "age": 3}})
    for reader, value in ((array_reader(Leaf), ["a", "blue"]), (object_reader(Leaf), {"name": "a", "colour": "blue"})):
        with pytest.raises(NewerFormat, match="Colour 'blue' is not known here"):
            reader(value)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("Unheard", "[]", "Unheard"),
        ("TimeReached", "[1.0,2.0,3.0]", "TimeReached has 3 fields"),
        ("RunFinished", '["exploded"]', "RunStatus 'exploded'"),
        ("VerdictGiven", '["s/1.1","s/g",1,"failed",[["r","m","error","",0,"",false,"x"]]]', "Finding has 8 fields"),
    ],
)
def test_an_event_of_a_newer_version_is_said(kind: str, body: str, said: str) -> None:
    with pytest.raises(InfrastructureError, match=rf"newer Interlock.*{said}.*upgrade"):
        journal.decode_rows([(1, 0.0, kind, journal.VERSION, body, b"")])


def test_a_damaged_event_is_not_called_newer() -> None:
    for body in ("[", "[]", "nonsense", "[null"):
        with pytest.raises(InfrastructureError, match="damaged"):
            journal.decode_rows([(1, 0.0, "TimeReached", journal.VERSION, body, b"")])


def test_a_pipeline_of_a_newer_version_is_said() -> None:
    for text in ('{"format": 9, "pipeline": {}}', '{"format": 1, "pipeline": {"name": "n", "stages": [], "soul": 1}}'):
        with pytest.raises(InfrastructureError, match=r"pipeline was written by a newer Interlock.*upgrade"):
            decode_pipeline(text)


def test_released_types_are_only_added_to() -> None:
    """No type loses a field, and one that is new has a default; those of events, which are arrays, stay in order."""
    released: dict[str, list[str]] = json.loads(SHAPES.read_text())
    arrays = {cls.__name__ for cls in _types((*get_args(Event), Answer))}
    known = {cls.__name__: cls for cls in _types((*get_args(Event), Answer, *RECORDED))}
    assert set(released) - set(known) == set()
    for name, before in released.items():
        now = {each.name: each for each in fields(known[name]) if not each.name.startswith("_")}
        apart = OF_EVERY_GATE if name == "Gate" else ()
        assert set(before) - set(now) - set(apart) == set(), name
        assert all(each.default is not MISSING for each in now.values() if each.name not in before), name
        assert name not in arrays or list(now)[: len(before)] == before, name


def _types(roots: tuple[Any, ...]) -> Iterator[Any]:
    """The dataclasses that are recorded, those within others too."""
    waiting, seen = list(roots), set()
    while waiting:
        kind = waiting.pop()
        if is_dataclass(kind) and kind not in seen:
            seen.add(kind)
            yield kind
            waiting += get_type_hints(kind).values()
        waiting += get_args(kind)


if __name__ == "__main__":  # writes SHAPES, at a release
    found = {cls.__name__: cls for cls in _types((*get_args(Event), Answer, *RECORDED))}
    shapes = {name: [each.name for each in fields(cls) if each.name[0] != "_"] for name, cls in sorted(found.items())}
    SHAPES.write_text(json.dumps(shapes, indent=1) + "\n")
