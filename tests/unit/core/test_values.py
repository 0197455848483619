"""Fast copies and constructors behave as the dataclasses' own do. Classes are made anew in each test: what is compiled
for a class is kept."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields, replace

import pytest

from interlock.core import values
from interlock.core.events import Finding, Recorded, TimeReached
from interlock.core.state import Spending
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


# --- the decorator: each case is a class made by it and by the standard one ---------------------


def _plain(decorate: Callable[[type], type]) -> type:
    class Point:
        x: int
        y: float = 2.0
        names: list[str] = field(default_factory=list, compare=False)
        seen: int = field(default=0, repr=False)

        def __str__(self) -> str:
            return "a point"

    return decorate(Point)


def _checked(decorate: Callable[[type], type]) -> type:
    class Point:
        """It has a text."""

        x: int
        y: int = field(kw_only=True, default=3)
        known: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

        def __post_init__(self) -> None:
            self.known["x"] = self.x

        def __repr__(self) -> str:
            return "its own"

    return decorate(Point)


def _extended(decorate: Callable[[type], type]) -> type:
    class Point:
        x: int
        z: int = field(kw_only=True, default=9)

    Point = decorate(Point)

    class Named(Point):  # type: ignore[misc, valid-type]
        name: str

    return decorate(Named)


def _empty(decorate: Callable[[type], type]) -> type:
    class Point:
        pass

    return decorate(Point)


def _lone(decorate: Callable[[type], type]) -> type:
    class Point:
        x: float

    return decorate(Point)


_NAN = float("nan")
_CALLS = {
    _plain: [
        ((1,), {}),
        ((1, 2), {}),
        ((), {"x": 1, "names": ["a"]}),
        ((1,), {"seen": 4}),
        ((), {}),
        ((1, 2, [], 3, 4), {}),
    ],
    _checked: [((1,), {}), ((1,), {"y": 5}), ((1, 5), {}), ((1,), {"known": {}})],
    _extended: [((1, "a"), {}), ((1, "a"), {"z": 2}), ((1,), {})],
    _empty: [((), {}), ((1,), {})],
    _lone: [((_NAN,), {}), ((1,), {})],
}


@pytest.mark.parametrize("slots", [True, False])
@pytest.mark.parametrize("make", _CALLS)
def test_a_class_behaves_as_one_of_the_standard_decorator(make: Callable[..., type], slots: bool) -> None:
    ours, theirs = (make(one.dataclass(frozen=True, slots=slots)) for one in (values, dataclasses))
    assert [(one.name, one.default, one.init) for one in fields(ours)] == [
        (one.name, one.default, one.init) for one in fields(theirs)
    ]
    assert ours.__match_args__ == theirs.__match_args__
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    calls = _CALLS[make]
    assert [_told(ours, *call) for call in calls] == [_told(theirs, *call) for call in calls]
    pairs = [(ours(*args, **kw), theirs(*args, **kw)) for args, kw in calls if _told(theirs, args, kw) != "TypeError"]
    for mine, other in pairs:
        assert [mine == each for each, _ in pairs] == [other == each for _, each in pairs]
        assert (mine == other, mine != other) == (False, True)
        assert hash(mine) == hash(other) or _NAN in dataclasses.astuple(other)
        assert dataclasses.asdict(mine) == dataclasses.asdict(other) or _NAN in dataclasses.astuple(other)
        assert replace(mine) == copy.copy(mine) == mine
        with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
            mine.x = 5
        with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
            del mine.x


def _told(cls: type, args: tuple[object, ...], named: dict[str, object]) -> str:
    try:
        made = cls(*args, **named)
    except TypeError as error:
        return type(error).__name__
    return f"{made!r} {made} {[getattr(made, each.name) for each in fields(cls)]}"


def test_a_default_that_is_made_is_made_anew() -> None:
    Point = _plain(values.dataclass(frozen=True, slots=True))
    one, other = Point(1), Point(1)
    assert one.names is not other.names


def test_what_is_copied_or_pickled_comes_back() -> None:
    for made in (Recorded(1, 2.0, TimeReached(3.0)), Finding("r", "m"), Spending(2)):
        again = pickle.loads(pickle.dumps(made))
        assert again == copy.deepcopy(made) == made
        assert again is not made


def test_what_it_cannot_make_is_refused() -> None:
    with pytest.raises(TypeError, match="standard decorator"):
        values.dataclass(frozen=False)
    with pytest.raises(TypeError, match="cannot inherit frozen dataclass from a non-frozen one"):
        dataclass(frozen=True)(type("Extended", (_plain(values.dataclass(frozen=True)),), {}))
