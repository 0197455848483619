"""Fast copies and constructors behave as the dataclasses' own do. Classes are made anew in each test: what is compiled
for a class is kept."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, replace

import pytest

from interlock.core.values import changed, constructor, default_of


def test_a_constructor_makes_what_the_class_makes() -> None:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2
        names: tuple[str, ...] = field(default_factory=tuple)

    make = constructor(Point)
    assert make(1) == Point(1)
    assert make(1, 5, ("a",)) == make(names=("a",), y=5, x=1) == Point(1, 5, ("a",))
    assert type(make(1)) is Point
    with pytest.raises(TypeError):
        make()
    assert [default_of(each) for each in fields(Point)] == [MISSING, 2, ()]


def test_a_class_that_does_more_than_hold_fields_is_refused() -> None:
    @dataclass(frozen=True)
    class NoSlots:
        x: int

    @dataclass(frozen=True, slots=True)
    class Checked:
        x: int

        def __post_init__(self) -> None:
            raise ValueError

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    for cls in (NoSlots, Checked, Empty):
        with pytest.raises(TypeError, match=f"{cls.__name__} needs slots, fields and no __post_init__"):
            constructor(cls)


def test_a_copy_has_the_changes_and_the_original_has_not() -> None:
    @dataclass(frozen=True)
    class Point:
        x: int
        y: int = 2

    point = Point(1)
    assert changed(point, y=3) == replace(point, y=3) == Point(1, 3)
    assert point == Point(1, 2)
    assert type(changed(point)) is Point
