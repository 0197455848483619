"""Every event and answer comes back from its text as it was, whatever is in it."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.events import Event
from interlock.core.ids import AttemptId
from interlock.core.wire import encode_event, kind_of
from interlock.journal import codec
from interlock.ports import Answer

_text = st.text(st.characters(exclude_categories=()), max_size=20)
_number = st.floats(allow_nan=False, allow_infinity=False)
_attempts = st.builds(
    AttemptId,
    stage=st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True),
    epoch=st.integers(0, 99),
    number=st.integers(0, 99),
    item=st.from_regex(r"[^\]]{0,5}", fullmatch=True),
)
st.register_type_strategy(AttemptId, _attempts)
st.register_type_strategy(str, _text)
st.register_type_strategy(float, _number)


@pytest.mark.parametrize("kind", get_args(Event))
def test_every_event_round_trips(kind: type) -> None:
    @settings(max_examples=50)
    @given(st.from_type(kind))
    def holds(event: Event) -> None:
        body = encode_event(event)
        assert body.isascii()
        again = codec.decode(kind_of(event), codec.VERSION, body)
        assert again == event
        assert repr(again).replace("-0.0", "0.0") == repr(event).replace(
            "-0.0", "0.0"
        )  # as the default that they equal

    holds()


@given(st.from_type(Answer))
def test_every_answer_round_trips(answer: Answer) -> None:
    assert codec.decode_answer(codec.VERSION, codec.encode_answer(answer)) == answer
