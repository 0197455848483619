"""A served repository, and a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape

import httpx
import pytest
from tests.contract.cli_world import World


@dataclass(frozen=True)
class Served:
    """`base` ends without a slash."""

    base: str
    token: str
    process: subprocess.Popen[str]

    @contextmanager
    def client(self, *, known: bool = True) -> Iterator[httpx.Client]:
        """With the cookie of a browser that opened the printed address."""
        with httpx.Client(base_url=self.base, follow_redirects=False, timeout=30) as client:
            if known:
                assert client.get(f"/?token={self.token}").status_code == 303
            yield client


@contextmanager
def served(world: World, *words: str) -> Iterator[Served]:
    process = world.start("serve", "--port", "0", *words)
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.match(r"(http://127\.0\.0\.1:\d+)/\?token=(\S+)", line)
        assert found, (line, process.stderr.read() if process.stderr and process.poll() is not None else "")
        yield Served(found[1], found[2], process)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the first form that answers a question."""
    found = re.search(r'<form[^>]* method="post" action="/runs/[^"]*/answers">(.*?)</form>', page, re.DOTALL)
    assert found, page[:3000]
    return {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', found[1])
    }


def chromium() -> str:
    """The system's. Skips the test where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no chromium on this machine")
