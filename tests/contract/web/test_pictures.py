"""Graph, timeline, documents, the log of an attempt at work, and a run that is started from the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.web.world import Served, served
from tests.nightly import rest_at_night

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

_PLAN = """# The plan

| a | b |
|---|---|
| 1 | 2 |

<script>document.title = "taken"</script> ![x](http://127.0.0.1:1/x.png) [no](javascript:alert(1)) [yes](https://example.org)
"""
_PIPELINE = """\
version: 1
agents:
  writer:
    use: command
    run: |
      cp "$OWN_PLAN" "$ARTIFACTS/plan.md"
    env: [OWN_PLAN]
  coder:
    use: command
    env: [OWN_HOLD]
    run: |
      for i in 1 2 3 4; do echo "line $i <b>bold</b>"; done
      while [ -e "$OWN_HOLD" ]; do sleep 0.1; done
      for i in 5 6 7 8; do echo "line $i <b>bold</b>"; done
      case $INTERLOCK_ATTEMPT in
        code/1.*) echo 'def wrong(): pass' ;;
        *) echo 'def right(): return "x"  # yes' ;;
      esac > app.py
stages:
  plan:
    agent: writer
    produces:
      plan: {file: plan.md}
  code:
    needs: [plan]
    agent: coder
    gates:
      - {id: right, run: "grep -q right app.py || { echo 'app.py:1: it is wrong'; false; }"}
    on_reject:
      - {gate: right, after: 1, goto: plan, max: 2}
  look:
    needs: [code]
    gates:
      - {id: look, approve: Is it good?}
    on_reject: [{pause: true}]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Served]]:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "plan.md").write_text(_PLAN)
    own = {"OWN_PLAN": str(folder / "plan.md"), "OWN_HOLD": str(folder / "hold")}
    world = new_world(folder, {"interlock.yaml": _PIPELINE}, **own)
    with served(world) as one:
        yield world, one


@pytest.fixture
def hold(site: tuple[World, Served]) -> Iterator[Path]:
    """While this file is there the coder works."""
    path = Path(site[0].environ["OWN_HOLD"])
    path.touch()
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def run(site: tuple[World, Served]) -> str:
    """One that waits for a person, after a loop back."""
    world, _ = site
    world.ask("run", "-t", "Make it right.", "--plain").ended(3)
    return str(world.show()["id"])


def opened(browser, site: Served, path: str = "/", width: int = 1200, scheme: str = "light"):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{site.base}/?token={site.token}")
    page.goto(site.base + path)
    return page


def shot(page, tmp_path: Path, name: str) -> None:
    page.screenshot(path=str(tmp_path / f"{name}.png"), full_page=True)


def test_a_run_is_started_from_the_page_and_its_log_is_followed(browser, site, hold: Path, tmp_path: Path) -> None:
    world, one = site
    page = opened(browser, one)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if one.base not in request.url else None)
    page.locator("#start").evaluate("form => { form.open = true; }")
    page.get_by_label("Task").fill("Make it right.\nWith care.")
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/runs/2*")
    page.locator("#graph a.node.working", has_text="code").wait_for(timeout=60_000)
    page.goto(f"{page.url}/attempts/code/1.1")
    page.locator(".log[data-follow] pre span", has_text="line 4 <b>bold</b>").wait_for(timeout=60_000)
    assert page.get_by_text("What it printed").count() == 0
    hold.unlink()
    page.get_by_text("What it printed").wait_for(timeout=60_000)  # it came by itself when the work was done
    page.get_by_text("What it printed").click()
    page.locator("details.log input[type=search]").first.fill("line 5")
    page.locator("details.log output", has_text="1 lines").wait_for()
    assert page.locator("details.log[open] pre span:visible").count() == 1
    page.goto(page.url.split("/attempts")[0])
    page.locator("#graph a.node", has_text="look").click()  # its stage stays open while the page is updated
    page.get_by_role("button", name="Approve").wait_for(timeout=120_000)
    assert page.locator("#graph a.node").count() == 3
    assert page.locator("#graph a.node[aria-current]").get_attribute("data-id") == "look"
    assert page.evaluate("document.querySelector('#stage-look').open")
    assert page.locator("#graph .loop.used").text_content() == "↩ 1 of 2"
    assert page.locator(".lane").count() == 4  # the base, and three stages
    page.locator("#zoom").fill("8")
    assert page.evaluate(
        "document.querySelector('.axis').clientWidth > 4 * document.querySelector('.lanes .wide').clientWidth"
    )
    shot(page, tmp_path, "run")
    assert asked == []
    assert world.show(page.url.rpartition("/")[2].partition("#")[0])["task"] == "Make it right.\nWith care."


def test_a_bar_of_the_timeline_opens_the_verdict(browser, site, run: str) -> None:
    page = opened(browser, site[1], f"/runs/{run}")
    page.locator("#timeline a.is-gate.failed[href*='/attempts/code/1.1']").first.click()  # it failed on the base, too
    page.wait_for_url(f"**/runs/{run}/attempts/code/1.1#gate-right")
    assert page.locator("#gate-right").inner_text().startswith("✗ right failed")


def test_documents_are_rendered_and_harmless(browser, site, run: str, tmp_path: Path) -> None:
    page = opened(browser, site[1], f"/runs/{run}/attempts/plan/1.1")
    rendered = page.locator(".rendered")
    assert rendered.locator("h1").inner_text() == "The plan"
    assert rendered.locator("td").count() == 2
    assert rendered.locator("script, img").count() == 0
    assert [link.get_attribute("href") for link in rendered.locator("a").all()] == [
        "http://127.0.0.1:1/x.png",  # a link, and no picture
        "https://example.org",
    ]
    assert page.title() != "taken"
    page.get_by_text("The brief as it was sent").click()
    page.locator("details[open] pre.document", has_text="Make it right.").wait_for()
    shot(page, tmp_path, "document")


@pytest.mark.parametrize(
    ("width", "scheme"), rest_at_night([(390, "dark"), (1200, "light"), (1200, "dark"), (390, "light")])
)
def test_axe_finds_nothing(browser, site, run: str, tmp_path: Path, scheme: str, width: int) -> None:
    one = site[1]
    page = opened(browser, one, "/", width, scheme)
    for number, path in enumerate(
        ("/", f"/runs/{run}", f"/runs/{run}/attempts/code/1.1", f"/runs/{run}/attempts/plan/1.1")
    ):
        page.goto(one.base + path)
        page.wait_for_timeout(500)  # the stream of events is never idle
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        shot(page, tmp_path, f"{number}-{scheme}-{width}")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, (path, found.generate_report()[:3000])
