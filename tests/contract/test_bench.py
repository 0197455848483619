"""The measurements that `scripts/bench` prints at night can still be imported."""

from __future__ import annotations

from importlib import import_module

import pytest
from bench.__main__ import LONG, NAMES, main


@pytest.mark.parametrize("name", [*NAMES, *LONG])
def test_a_measurement_is_there(name: str) -> None:
    assert callable(import_module(f"bench.{name}").measure)


def test_a_name_that_none_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert "no such measurement: nothing" in capsys.readouterr().err
