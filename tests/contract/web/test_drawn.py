"""Graph and timeline of runs made by hand, in a real browser: where boxes and lines lie, what keys and updates do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.contract.web.drawn import Shown
from tests.nightly import rest_at_night
from tests.unit.web.views import attempt, pipeline, run, stage, verdict

from interlock.core.pipeline import Pipeline
from interlock.readmodel.run import RunView

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

_NAMES = """plan design review-design tests code refactor integration-tests security perf docs changelog review final
merge"""


def chain(done: int = 9) -> tuple[RunView, Pipeline]:
    """Fourteen stages, one after the other; the tenth waits for a person, hours after the ninth."""
    stages, before, at = [], "", 0.0
    for number, name in enumerate(_NAMES.split()):
        made = ()
        if number < done:
            back = "plan" if name == "code" else ""
            made = (
                attempt(f"{name}/1.1", "rejected", at, at + 12, verdict(at + 16, "tests", "failed"), sent_back_to=back),
                attempt(f"{name}/1.2", "accepted", at + 17, at + 30, verdict(at + 35, "tests")),
            )
        elif number == done:
            made = (attempt(f"{name}/1.1", "judging", 9000, 9030, verdict(9032, "lint"), asked=(f"{name}/look",)),)
        phase = "accepted" if number < done else "judging" if number == done else "waiting"
        stages.append(stage(name, phase, before, *made))
        before, at = name, at + 40
    view = run(*stages, phase="waiting", end=20_000)
    return view, pipeline(view, "code>plan", "review>code", "merge>code", "code>tests", "docs>docs")


def forks() -> tuple[RunView, Pipeline]:
    """Fourteen stages with branches, one of them in many instances."""
    needs = {
        "plan": "", "design": "plan", "unit": "design", "api": "design", "ui": "design", "db": "plan",
        "join": "unit api ui db", "lint": "join", "e2e": "join", "sec": "join", "perf": "join", "docs": "plan",
        "review": "lint e2e sec perf docs", "ship": "review",
    }  # fmt: skip
    phases = {
        "plan": "accepted",
        "design": "accepted",
        "unit": "accepted",
        "api": "working",
        "ui": "rejected",
        "db": "paused",
    }
    items = [attempt(f"api[{number}]/1.1", "working", 60 + number % 7) for number in range(37)]
    stages = [
        stage(name, phases.get(name, "waiting"), of, *(items if name == "api" else ())) for name, of in needs.items()
    ]
    view = run(*stages)
    return view, pipeline(view, "review>design", "ui>design", "e2e>unit", "sec>plan", "api>api", "ship>db")


def wide() -> tuple[RunView, Pipeline]:
    """Twelve branches at once."""
    parts = [stage(f"part-{number}", "working", "plan") for number in range(12)]
    names = " ".join(part.id for part in parts)
    view = run(stage("plan", "accepted"), *parts, stage("join", "waiting", names))
    return view, pipeline(view, "join>part-3", "join>plan", "part-5>plan")


_GEOMETRY = (Path(__file__).parent / "geometry.js").read_text().rstrip().split("\n", 1)[1]
RUNS = {"chain": chain, "forks": forks, "wide": wide}


def asked(page, name: str, *given: object) -> Any:
    """What the function `name` of geometry.js says of the page."""
    return page.evaluate(f"given => {_GEOMETRY}.{name}(...given)", list(given))


@pytest.mark.parametrize("name", RUNS)
def test_the_graph_fits_each_width_and_no_line_runs_through_a_box(browser, name: str) -> None:
    shown = Shown(browser, *RUNS[name]())
    for width in (1200, 1920, 700):
        shown.page.set_viewport_size({"width": width, "height": 900})
        shown.page.wait_for_timeout(100)
        assert shown.page.locator("#graph a.node").count() == 14
        assert asked(shown.page, "over") <= 0, width
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        assert asked(shown.page, "crossed") == [], width
        assert width < 1200 or asked(shown.page, "down") <= 0, width  # it is seen as a whole
        assert 0.72 <= asked(shown.page, "scale") <= 1, width  # it can be read
    assert shown.wrong == []


@pytest.mark.parametrize("name", RUNS)
def test_loops_end_at_their_boxes_and_their_words_lie_on_nothing(browser, name: str) -> None:
    shown = Shown(browser, *RUNS[name]())
    assert shown.page.locator("#graph .loop").count() == sum(len(one.on_reject) for one in shown.pipeline.stages)
    assert asked(shown.page, "loose") == []


def test_branches_stand_in_the_order_of_the_stages(browser) -> None:
    shown = Shown(browser, *wide())
    tops = [shown.page.locator(f"#graph a.node[data-id=part-{number}]").bounding_box()["y"] for number in range(12)]
    assert tops == sorted(tops)


def test_a_loop_says_how_often_it_was_taken(browser) -> None:
    shown = Shown(browser, *chain())
    assert shown.page.locator("#graph .loop.used").all_text_contents() == ["↩ 1 of 3"]
    assert shown.page.locator("#graph .loop.used").get_attribute("aria-label") == "back from code to plan: 1 of 3"


def test_a_box_says_its_state_in_words_with_an_icon_of_its_own(browser) -> None:
    shown = Shown(browser, *chain())
    box = shown.page.locator("#graph a.node[data-id=docs]")
    assert box.locator(".word").text_content() == "waiting for you"
    assert box.get_attribute("aria-label") == "docs: waiting for you, 1 attempt, by coder"
    passed = shown.page.locator("#graph a.node[data-id=perf]")
    assert passed.get_attribute("aria-label") == "perf: accepted, 2 attempts, by coder"
    looks = zip(asked(shown.page, "look", "docs"), asked(shown.page, "look", "perf"), strict=True)
    assert all(one != two for one, two in looks)


def test_instances_of_a_stage_are_cells_of_its_box(browser) -> None:
    shown = Shown(browser, *forks())
    box = shown.page.locator("#graph a.node[data-id=api]")
    assert box.locator(".cell").count() == 37
    assert box.locator(".cell title").first.text_content() == "0: working"
    assert asked(shown.page, "outside", "api") == 0


def test_buttons_keys_and_wheel_zoom_and_the_mouse_pans(browser) -> None:
    page = Shown(browser, *chain()).page
    fit = asked(page, "scale")
    page.get_by_role("button", name="Zoom in").click()
    assert asked(page, "scale") == pytest.approx(fit * 1.25, rel=0.01)
    page.locator("#graph-canvas .scroll").focus()
    page.keyboard.press("+")
    assert asked(page, "scale") == pytest.approx(fit * 1.5625, rel=0.01)
    page.keyboard.press("-")
    assert asked(page, "scale") == pytest.approx(fit * 1.25, rel=0.01)
    page.keyboard.press("0")
    assert asked(page, "scale") == pytest.approx(fit, rel=0.01)
    page.locator("#graph-canvas .scroll").hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function("document.querySelector('#graph svg').clientWidth > 2000")
    page.evaluate("document.querySelector('#graph-canvas .scroll').scrollTo(300, 0)")
    box = page.locator("#graph-canvas .scroll").bounding_box()
    page.mouse.move(box["x"] + 400, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 100, steps=4)
    page.mouse.up()
    assert page.evaluate("document.querySelector('#graph-canvas .scroll').scrollLeft") == 400
    assert "#" not in page.url  # a drag is no click
    page.get_by_role("button", name="Fit the graph").click()
    assert asked(page, "scale") == pytest.approx(fit, rel=0.01)


@pytest.mark.parametrize("patched", [True, False])
def test_an_update_keeps_zoom_scroll_and_selection(browser, patched: bool) -> None:
    shown = Shown(browser, *chain())
    page = shown.page
    page.locator("#graph a.node[data-id=security]").click()
    assert page.url.endswith("#stage-security")
    assert page.evaluate("document.querySelector('#stage-security').open")
    page.get_by_role("button", name="Zoom in").click(click_count=3)
    page.evaluate("document.querySelector('#graph-canvas .scroll').scrollTo(200, 50)")
    page.locator("#graph a.node[data-id=perf]").focus()
    page.wait_for_timeout(100)
    before = asked(page, "scroll")
    assert before[0] > 100
    shown.renew(chain(10)[0], patched=patched)
    assert page.locator("#graph a.node[data-id=docs]").get_attribute("aria-label").startswith("docs: accepted")
    assert asked(page, "scroll") == before
    assert page.locator("#graph a.node[aria-current]").get_attribute("data-id") == "security"
    if patched:
        assert page.evaluate("document.activeElement.dataset.id") == "perf"
    assert page.locator("#graph svg").count() == 1
    assert shown.wrong == []


def test_the_full_window_is_filled_and_escape_closes_it(browser) -> None:
    page = Shown(browser, *chain()).page
    page.get_by_role("button", name="Show the graph in the full window").click()
    box = page.locator("#graph-canvas").bounding_box()
    assert (box["width"], box["height"]) == (1200, 900)
    page.keyboard.press("Escape")
    assert page.locator("#graph-canvas").bounding_box()["height"] < 900
    assert page.locator("#graph a.node").count() == 14


def test_a_phone_and_a_page_without_scripts_have_a_list(browser) -> None:
    page = Shown(browser, *forks(), width=390).page
    assert page.locator("#graph svg").count() == 0
    rows = page.locator(".outline > li")
    assert rows.count() == 14
    lefts = {row.locator("a").first.text_content(): row.bounding_box()["x"] for row in rows.all()}
    assert lefts["plan"] < lefts["design"] < lefts["unit"]
    assert lefts["join"] < lefts["lint"]
    assert "back to design: 0 of 3" in page.locator(".outline").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".outline a", has_text="review").click()
    assert page.evaluate("document.querySelector('#stage-review').open")
    still = Shown(browser, *forks(), java_script_enabled=False).page
    assert still.locator(".outline > li").first.is_visible()
    assert still.locator("#timeline a.bar-link").count() > 0
    wide = Shown(browser, *forks()).page
    assert not wide.locator(".outline > li").first.is_visible()


def test_the_timeline_says_what_is_pointed_at_and_arrows_move_in_it(browser) -> None:
    shown = Shown(browser, *chain())
    page = shown.page
    assert page.locator("#timeline a.bar-link[tabindex='0']").count() == 1
    first = page.locator("#timeline a.bar-link").first
    first.focus()
    assert page.locator("#timeline-words").text_content().startswith("plan/1.1, work: rejected, 12 s, ")
    page.keyboard.press("ArrowRight")
    assert page.locator("#timeline-words").text_content().startswith("plan/1.1, gate tests: failed, 4.0 s, ")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/runs/r1/attempts/plan/1.1#gate-tests"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("design/1.1, work: rejected")
    assert page.locator("#timeline a.bar-link[tabindex='0']").count() == 1
    waits = page.locator("#timeline a.is-wait.asked")
    waits.hover()
    assert (
        "docs/1.1, wait for a person, gate look: waiting for you, 3 h 2 min"
        in page.locator("#timeline-words").text_content()
    )
    assert page.locator("#timeline .fold-words").all_text_contents() == ["2 h 24 min", "3 h 2 min"]
    page.locator("#zoom").fill("8")
    region = "document.querySelector('.lanes .wide')"
    assert page.evaluate(f"{region}.scrollWidth > 7 * {region}.clientWidth")
    page.evaluate(f"{region}.scrollTo(900, 0)")
    page.wait_for_timeout(100)
    shown.renew(chain(10)[0])
    assert page.evaluate(f"{region}.scrollLeft") == 900
    assert page.evaluate(f"{region}.scrollWidth > 7 * {region}.clientWidth")


def test_all_that_the_timeline_shows_is_in_a_table(browser) -> None:
    page = Shown(browser, *chain()).page
    page.get_by_text("The timeline as a table").click()
    rows = page.locator("#timeline-table tbody tr")
    assert rows.count() == page.locator("#timeline a.bar-link").count() + page.locator("#timeline .fold").count()
    assert rows.filter(has_text="nothing at work").count() == 2
    assert rows.filter(has_text="docs/1.1").filter(has_text="waiting for you").count() == 2
    ticks = page.locator("#timeline .tick-words").all()
    rights = [one.bounding_box()["x"] + one.bounding_box()["width"] for one in ticks]
    lefts = [one.bounding_box()["x"] for one in ticks]
    assert all(right < left for right, left in zip(rights, lefts[1:], strict=False))


@pytest.mark.parametrize(
    ("width", "scheme"),
    rest_at_night([(1200, "light"), (390, "dark"), (1920, "dark"), (390, "light"), (1200, "dark"), (1920, "light")], 2),
)
@pytest.mark.parametrize("name", ["chain", "forks"])
def test_axe_finds_nothing_in_the_pictures(browser, name: str, width: int, scheme: str) -> None:
    page = Shown(browser, *RUNS[name](), width=width, scheme=scheme).page
    for summary in page.locator("summary").all():
        summary.click()
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()[:3000]
