"""The page in a real browser: watched live, approved, seen to finish; at two widths, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import new_world
from tests.contract.web.world import served
from tests.nightly import rest_at_night

_PIPELINE = """\
version: 1
agents:
  own:
    use: command
    run: |
      sleep 1
      if grep -q rejected $BRIEF; then echo right; else echo wrong; fi > app.txt
stages:
  code:
    agent: own
    gates:
      - {id: right, run: "grep -q right app.txt || { echo 'app.txt:1: it is wrong'; false; }"}
      - {id: look, approve: Is this what was asked for?}
"""


def test_a_run_is_watched_approved_and_seen_to_finish(browser, tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": _PIPELINE})
    wrong: list[str] = []
    with served(world) as site:
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: wrong.append(asked.url) if site.base not in asked.url else None)
        page.goto(f"{site.base}/?token={site.token}")
        assert "token" not in page.url
        assert world.ask("run", "-t", "Make it right.", "--plain", "-d").code == 0
        page.reload()
        page.get_by_role("link", name="Make it right.").first.click()
        page.get_by_role("button", name="Approve").wait_for(timeout=60_000)  # nobody reloads it
        page.locator("#stage-code").evaluate(
            "stage => { stage.open = true; }"
        )  # the page may be renewed beside a click
        page.get_by_role("link", name="code/1.1", exact=True).click()
        page.locator(".l.added", has_text="wrong").wait_for()
        page.go_back()
        page.get_by_label("Comment").fill("good")
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Delivered: branch").wait_for(timeout=60_000)
        page.locator("#answered", has_text="accepted as ").wait_for()  # nobody reloads it
        assert page.locator("h1").inner_text() == "Make it right."
        context.close()
    assert wrong == []
    assert world.show()["phase"] == "accepted"


@pytest.mark.parametrize(
    ("width", "scheme"), rest_at_night([(390, "dark"), (1200, "light"), (1200, "dark"), (390, "light")])
)
def test_nothing_is_wider_than_the_screen(browser, tmp_path: Path, width: int, scheme: str) -> None:
    world = new_world(tmp_path, {"interlock.yaml": _PIPELINE})
    assert world.ask("run", "-t", "Make it right, with " + "averylongword" * 20, "--plain").code == 3
    run = world.show()["id"]
    with served(world) as site:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{site.base}/?token={site.token}")
        for number, path in enumerate(("/", f"/runs/{run}", f"/runs/{run}/attempts/code/1.1")):
            page.goto(site.base + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            page.screenshot(path=str(tmp_path / f"{number}-{scheme}-{width}.png"))
        context.close()


def test_enter_at_the_tick_approves_nothing(browser, tmp_path: Path) -> None:
    long = {"interlock.yaml": _PIPELINE.replace("> app.txt\n", "> app.txt; printf '%02500d' 1 >> app.txt\n")}
    world = new_world(tmp_path, long)
    assert world.ask("run", "-t", "Make it right.", "--plain").code == 3
    with served(world) as site:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{site.base}/?token={site.token}")
        page.goto(f"{site.base}/runs/{world.show()['id']}")
        page.locator("input[name=unseen]").focus()
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
        assert page.locator("input[name=unseen]").is_checked()
        context.close()
    assert world.show()["answers"] == []
