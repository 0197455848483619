"""The cost of tokens: what is not known is never zero."""

from __future__ import annotations

import pytest

from interlock.agents.limits import priced
from interlock.core.events import Usage

PRICE = {"input": 2, "output": 10, "cached": 0.5}


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (Usage(1_000_000, 100_000), PRICE, 3.0),
        (Usage(1_000_000, 100_000, 400_000), PRICE, 1.2 + 1.0 + 0.2),
        (Usage(1_000_000, 0, 400_000), {"input": 2, "output": 10}, 2.0),
        (Usage(1_000_000, 100_000, cost_usd=0.5), PRICE, 0.5),  # its own report has priority
        (Usage(1_000_000, 100_000), None, None),
        (Usage(None, 100_000), PRICE, None),
        (Usage(), PRICE, None),
    ],
)
def test_an_unknown_cost_is_never_zero(usage: Usage, price: object, cost: float | None) -> None:
    assert priced(usage, price).cost_usd == (cost if cost is None else pytest.approx(cost))
