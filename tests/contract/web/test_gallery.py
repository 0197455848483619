"""The gallery in docs shows every state, and each is drawn anew here at three widths, light and dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.web.gallery import DOCS, KEPT, STATES, index, pictures
from tests.contract.web.states import States, all_states
from tests.nightly import rest_at_night

SIZES = [(390, "dark"), (1200, "light"), (1920, "dark"), (390, "light"), (1200, "dark"), (1920, "light")]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    with all_states(tmp_path_factory.mktemp("gallery")) as made:
        yield made


def test_the_gallery_has_every_state() -> None:
    assert (DOCS / "README.md").read_text(encoding="utf-8") == index()
    names = {f"{state}-{width}-{scheme}.jpg" for state in STATES for width, scheme in KEPT}
    assert {path.name for path in DOCS.glob("*-*-*.jpg")} == names


@pytest.mark.parametrize(("width", "scheme"), rest_at_night(SIZES, 3))
def test_every_state_fits_its_width(browser, states: States, width: int, scheme: str) -> None:
    wrong: list[str] = []
    for picture in pictures(browser, states, ((width, scheme),)):
        wide = picture.page.evaluate("document.documentElement.scrollWidth")
        heading = picture.page.locator("h1").bounding_box()
        assert heading is not None, picture.name
        if wide > width or heading["y"] + heading["height"] > picture.page.viewport_size["height"]:
            wrong.append(f"{picture.name}: {wide} px wide, heading at {heading['y']:.0f}")
    assert wrong == []
