"""What the tests of real programs share: each program, a checkout, and the scripted model server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.agents.world import KEYS, bin_of, checkout_in
from tests.model_server.server import ModelServer, serving

from interlock.ports import Checkout


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    """It plays the SCENARIOS of the test's module."""
    with serving(request.module.SCENARIOS) as server:
        yield server


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return checkout_in(tmp_path / "place")


@pytest.fixture(params=KEYS)
def name(request: pytest.FixtureRequest) -> str:
    """Each program; a test names others by `indirect`. Skips where it is not installed."""
    bin_of(request.param)
    return str(request.param)
