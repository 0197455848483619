"""The arithmetic of gates."""

import pytest

from interlock.core.reliability import attempts_per_handoff, handoff_success, run_success, ungated_success


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
