"""What an agent's tokens cost, where its program does not say and the user gave a price.

Rule: what is not known stays unknown; it is never zero. What a program reports itself goes before any price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from interlock.core.events import Usage

_MILLION = 1_000_000


def priced(usage: Usage, price: object) -> Usage:
    """`usage` with its cost. `price` is the agent's option: dollars per million tokens, `input`, `output` and, for
    what came out of a cache (as `input` where it is absent), `cached`; None where none is given."""
    if usage.cost_usd is not None or not isinstance(price, Mapping):
        return usage
    if usage.tokens_in is None or usage.tokens_out is None:
        return usage
    rates = cast(Mapping[str, float], price)
    cached = min(usage.tokens_cached or 0, usage.tokens_in)  # they are among tokens_in
    cost = (usage.tokens_in - cached) * rates["input"] + usage.tokens_out * rates["output"]
    return replace(usage, cost_usd=(cost + cached * rates.get("cached", rates["input"])) / _MILLION)
