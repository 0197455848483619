"""`python -m tests.contract.web.gallery`: draws the page of a run in each state into docs/gallery, and its index."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.web.states import States, all_states
from tests.contract.web.world import chromium

DOCS = Path(__file__).resolve().parents[3] / "docs" / "gallery"
SIZES = {1920: 1080, 1200: 800, 390: 844}
KEPT = ((1200, "light"), (390, "dark"))  # of all sizes and schemes, those that the documentation shows
STATES: Mapping[str, str] = {
    "list": "The list of runs: what needs you comes first.",
    "waiting": "A run waits for an approval: the question, the whole change, what the gates said, what it cost.",
    "rejected": "An attempt was rejected, and the stage has no attempts left: why, and what can be done.",
    "limit": "A limit is used up.",
    "stopped": "The base was red before any work began.",
    "running": "An agent is at work.",
    "interrupted": "The process that controlled the run died.",
    "accepted": "The branch is delivered.",
    "cancelled": "A person cancelled the run.",
    "damaged": "The history of a run is damaged; all others can be read.",
    "attempt": "A change for review, with the findings at their lines.",
}


@dataclass(frozen=True, slots=True)
class Picture:
    state: str
    width: int
    scheme: str
    page: Any  # playwright's, at that state

    @property
    def name(self) -> str:
        return f"{self.state}-{self.width}-{self.scheme}.jpg"


def pictures(browser: Any, states: States, sizes: tuple[tuple[int, str], ...]) -> Iterator[Picture]:
    """Each state at each size and scheme, as an open page."""
    for state in STATES:
        states.run(state)  # the list shows all of them
    for width, scheme in sizes:
        context = browser.new_context(viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{states.site.base}/?token={states.site.token}")
        for state in STATES:
            page.goto(states.site.base + _path(state, states))
            page.wait_for_load_state("load")
            yield Picture(state, width, scheme, page)
        context.close()


def _path(state: str, states: States) -> str:
    if state == "list":
        return "/"
    if state == "attempt":
        return f"/runs/{states.run('rejected')}/attempts/code/1.1"
    return f"/runs/{states.run(state)}"


def index() -> str:
    """The page that shows the kept pictures."""
    lines = ["# The page in every state", "", "Drawn by `scripts/gallery` from real runs; see [web.md](../web.md).", ""]
    for state, words in STATES.items():
        lines += [f"## {state.capitalize()}", "", words, ""]
        lines += [f"![{state}, {width} px, {scheme}]({state}-{width}-{scheme}.jpg)" for width, scheme in KEPT]
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    from playwright.sync_api import sync_playwright

    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, all_states(Path(folder)) as states, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for picture in pictures(browser, states, KEPT):
            picture.page.screenshot(path=str(DOCS / picture.name), type="jpeg", quality=55)
        browser.close()
    (DOCS / "README.md").write_text(index(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
