"""The browser of a file of tests. It is closed when the file ends: nothing else can run a loop of asyncio beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.web.world import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Skips the test where Playwright or Chromium is not installed."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = chromium()
    with playwright.sync_playwright() as play:
        one = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield one
        one.close()
