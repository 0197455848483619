"""A page that is open follows its run: it is patched in place, over one stream for all tabs of the browser."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.contract.cli_world import World, new_world
from tests.contract.web.world import Served, served

_PIPELINE = """\
version: 1
stages:
  first:
    run: touch first.txt
    gates: [{id: look, approve: Is the first right?}]
  second:
    run: touch second.txt
    needs: [first]
    gates: [{id: look, approve: Is the second right?}]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return new_world(tmp_path_factory.mktemp("updates"), {"interlock.yaml": _PIPELINE})


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[Served]:
    with served(world) as one:
        yield one


@pytest.fixture(scope="module")
def context(browser, site: Served) -> object:
    made = browser.new_context(viewport={"width": 1200, "height": 900})
    page = made.new_page()
    page.goto(f"{site.base}/?token={site.token}")
    page.close()
    return made


def waiting(world: World, task: str) -> str:
    """A run that waits at its first stage."""
    assert world.ask("run", "-t", task, "--plain").code == 3
    return str(world.show()["id"])


def live(page: object) -> None:
    page.locator("#live", has_text="live").wait_for(timeout=30_000)


def test_typed_text_focus_and_opened_parts_survive_an_update(world: World, site: Served, context: object) -> None:
    run = waiting(world, "Type while it goes on.")
    page = context.new_page()
    page.goto(f"{site.base}/runs/{run}")
    live(page)
    page.evaluate(
        """() => {
          const box = document.createElement('details');
          for (const item of document.querySelectorAll('details')) item.querySelector('summary')?.click();
          window.before = [...document.querySelectorAll('details')].map((item) => item.open);
          window.same = document.querySelector('main');
        }"""
    )
    field = page.locator("main textarea:visible").first
    field.fill("do not lose this")
    page.evaluate("window.field = document.activeElement")
    assert world.ask("reject", run, "first", "-m", "Again.", "--plain").code == 3  # a second attempt waits then
    page.locator("main").get_by_text("first/1.2").first.wait_for(state="attached", timeout=30_000)
    assert page.evaluate("window.same === document.querySelector('main') && window.same.isConnected")
    kept = page.evaluate("window.field.isConnected && document.activeElement === window.field && window.field.value")
    told = page.locator(".unsent").all_inner_texts()
    assert kept == "do not lose this" or any("do not lose this" in text for text in told)
    page.close()


def test_the_title_and_the_icon_show_the_state_and_the_list_is_live(
    world: World, site: Served, context: object
) -> None:
    run = waiting(world, "Look at the icon.")
    page, inbox = context.new_page(), context.new_page()
    page.goto(f"{site.base}/runs/{run}")
    inbox.goto(site.base)
    for one in (page, inbox):
        live(one)
        assert one.locator("link[rel=icon]").get_attribute("href") == "/static/icons/waiting.svg"
    assert inbox.locator(f".needed #run-{run}").count() == 1
    assert world.ask("cancel", run, "--plain").code != 2
    inbox.locator(f".done #run-{run}").wait_for(timeout=30_000)
    page.locator("link[rel=icon][href$='failed.svg']").wait_for(state="attached", timeout=60_000)
    assert "Cancelled" in page.title()
    page.close()
    inbox.close()


def test_six_tabs_have_one_stream_and_a_finished_run_has_none(world: World, site: Served, context: object) -> None:
    run = waiting(world, "Open it six times.")
    pages = [context.new_page() for _ in range(6)]
    for page in pages:
        page.goto(f"{site.base}/runs/{run}")
        live(page)
    assert streams(site) == 1
    assert world.ask("cancel", run, "--plain").code != 2
    for page in pages:
        page.locator("body[data-follow='']").wait_for(state="attached", timeout=60_000)
    for _ in range(100):
        if streams(site) == 0:
            break
        time.sleep(0.1)
    assert streams(site) == 0
    for page in pages:
        page.close()


def test_a_page_that_is_open_while_the_server_restarts_goes_on_by_itself(world: World, context: object) -> None:
    run = waiting(world, "Restart the server.")
    page = context.new_page()
    page.add_init_script("window.setInterval = () => 0")  # only the stream tells it
    with served(world) as first:
        page.goto(f"{first.base}/?token={first.token}")
        page.goto(f"{first.base}/runs/{run}")
        live(page)
        page.evaluate("window.same = document.querySelector('main')")
    page.locator("#live", has_text="not connected").wait_for(timeout=30_000)
    assert world.ask("approve", run, "first", "--plain").code == 3  # what nobody told the page
    assert page.get_by_text("Is the first right?").count() > 0
    with served(world, "--port", first.base.rpartition(":")[2]) as again:
        assert again.base == first.base
        live(page)
        page.get_by_text("Is the second right?").first.wait_for(timeout=30_000)
        assert page.get_by_role("button", name="Approve").count() == 1
        assert page.evaluate("window.same === document.querySelector('main')")  # nobody loaded it again
        assert streams(again) == 1
        page.get_by_role("button", name="Approve").click()  # a form of before the restart
        page.get_by_text("Delivered: branch").wait_for(timeout=60_000)
        page.close()
    assert world.show(run)["phase"] == "accepted"


def test_back_from_an_attempt_the_run_is_as_it_is_now(world: World, site: Served, context: object) -> None:
    run = waiting(world, "Go there and back.")
    page = context.new_page()
    page.add_init_script("window.setInterval = () => 0")  # only the stream tells it
    page.goto(f"{site.base}/runs/{run}")
    live(page)
    page.locator("#stage-first").evaluate("stage => { stage.open = true; }")
    page.locator("[id='attempt-first/1.1'] h3 a").click()
    page.wait_for_url("**/attempts/first/1.1")
    assert world.ask("approve", run, "first", "--plain").code == 3
    page.go_back()
    page.wait_for_url(f"**/runs/{run}")
    page.get_by_text("Is the second right?").first.wait_for(timeout=30_000)
    assert page.get_by_role("button", name="Approve").count() == 1  # the first question is gone
    live(page)
    assert streams(site) == 1
    assert world.ask("reject", run, "second", "-m", "Again.", "--plain").code == 3
    page.locator("main").get_by_text("second/1.2").first.wait_for(state="attached", timeout=30_000)
    page.go_forward()
    page.wait_for_url("**/attempts/first/1.1")
    page.close()


def test_keys_move_and_lead_and_never_decide(world: World, site: Served, context: object) -> None:
    run = waiting(world, "Press keys.")
    page = context.new_page()
    page.goto(site.base)
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.closest('[data-item]').id")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.closest('[data-item]').id")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.closest('[data-item]').id") == first != second
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    assert "search" in page.locator("#keys").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("j?")  # in a field keys are letters
    assert page.locator("input[name=q]").input_value() == "j?"
    assert world.ask("status", run).code == 0
    page.close()


def streams(site: Served) -> int:
    """Streams of changes that the server has open, counted by its connections' requests."""
    with site.client() as client:
        return int(client.get("/api/v1/streams").json()["streams"])
