"""The arithmetic of gates."""

from itertools import product
from math import prod

import pytest
from tests.simulation.arithmetic import attempts_per_handoff, handoff_success, run_success, ungated_success


def test_three_tries_of_four_in_five() -> None:
    assert handoff_success(0.2, 3) == pytest.approx(0.992)
    assert run_success(0.2, 3, 4) == pytest.approx(0.992**4)
    assert ungated_success(0.2, 4) == pytest.approx(0.8**4)
    assert attempts_per_handoff(0.2) == pytest.approx(1.25)


@pytest.mark.parametrize(("p", "attempts"), [(-0.1, 1), (1.1, 1), (0.5, 0)])
def test_what_is_no_probability_is_refused(p: float, attempts: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= p <= 1"):
        handoff_success(p, attempts)


def test_what_is_never_accepted_has_no_price() -> None:
    with pytest.raises(ValueError, match="p is 1"):
        attempts_per_handoff(1.0)


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_the_formulas_are_what_counting_every_case_gives(p: float, attempts: int) -> None:
    succeeded = tried = 0.0
    for fails in product((False, True), repeat=attempts):
        chance = prod(p if failed else 1 - p for failed in fails)
        succeeded += chance * (not all(fails))
        tried += chance * (attempts if all(fails) else fails.index(False) + 1)
    assert handoff_success(p, attempts) == pytest.approx(succeeded)
    assert attempts_per_handoff(p) == pytest.approx(tried / succeeded)
