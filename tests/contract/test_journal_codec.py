"""Every event, effect and answer comes back from its text as it was, whatever is in it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, is_dataclass
from math import inf
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core import conflicts, effects, events, inbox
from interlock.core.codec import Bound
from interlock.core.effects import Effect, key
from interlock.core.events import Event, Recorded
from interlock.core.ids import AttemptId
from interlock.core.inbox import Answer
from interlock.core.wire import decode_effect, decode_record, encode_effect, encode_event, encode_record, kind_of
from interlock.journal import codec

_text = st.text(st.characters(exclude_categories=()), max_size=20)
_number = st.floats(allow_nan=False, allow_infinity=False)
_attempts = st.builds(
    AttemptId,
    stage=st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True),
    epoch=st.integers(0, 99),
    number=st.integers(0, 99),
    item=st.from_regex(r"[^\]]{0,5}", fullmatch=True),
)
st.register_type_strategy(str, _text)
st.register_type_strategy(float, _number)


def _whole(cls: Any) -> st.SearchStrategy[Any]:
    """With all fields, also those that have a default."""
    hints = get_type_hints(cls, include_extras=True)
    return st.builds(cls, **{each.name: _of(hints[each.name]) for each in fields(cls)})


def _of(hint: Any) -> st.SearchStrategy[Any]:
    if hint == Bound:
        return st.just(inf) | _number.map(abs)
    if get_origin(hint) is tuple and get_args(hint)[-1] is Ellipsis:
        return st.lists(_of(get_args(hint)[0]), max_size=2).map(tuple)
    return st.from_type(hint)


for _module in (conflicts, effects, events, inbox):
    for _cls in vars(_module).values():
        if isinstance(_cls, type) and is_dataclass(_cls):
            st.register_type_strategy(_cls, _whole)  # type: ignore[arg-type]
st.register_type_strategy(AttemptId, _attempts)


@pytest.mark.parametrize("kind", get_args(Event))
def test_every_event_round_trips(kind: type) -> None:
    @settings(max_examples=50)
    @given(st.from_type(kind))
    def holds(event: Event) -> None:
        body = encode_event(event)
        assert body.isascii()
        again = codec.decode(kind_of(event), codec.VERSION, body)
        assert again == event
        with suppress(ValueError, TypeError):  # of others, what steers a terminal or is too large is refused
            assert decode_record(encode_record(Recorded(7, 1.5, event))) == Recorded(7, 1.5, event)
        assert repr(again).replace("-0.0", "0.0") == repr(event).replace(
            "-0.0", "0.0"
        )  # as the default that they equal

    holds()


@pytest.mark.parametrize("kind", get_args(Effect))
def test_every_effect_round_trips(kind: type) -> None:
    @settings(max_examples=50)
    @given(st.from_type(kind))
    def holds(effect: Effect) -> None:
        text = encode_effect(effect)
        assert text.isascii()
        again = decode_effect(text)
        assert (again, key(again)) == (effect, key(effect))

    holds()


@given(st.from_type(Answer))
def test_every_answer_round_trips(answer: Answer) -> None:
    assert codec.decode_answer(codec.VERSION, codec.encode_answer(answer)) == answer
