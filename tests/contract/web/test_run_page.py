"""The page of a run in each of its states: what the first screen answers, and what becomes of an answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.cli_world import LIMIT_S
from tests.contract.web.states import States, all_states, started
from tests.contract.web.world import hidden
from tests.nightly import rest_at_night

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

WHO, GATE, WHAT, COST = "who must act?", "which gate, and where?", "what changes?", "what did it cost?"
_FILES = ("#what", ["app.txt", "notes.txt", "old.txt", "3 files"])
_IN_FIVE_SECONDS = {
    ("waiting", WHO): [
        ("#state", ["Waiting for you"]),
        (".decide h2", ["Merge this?"]),
        (".buttons", ["Approve", "Reject"]),
    ],
    ("waiting", GATE): [(".decide .about", ["ship/1.1", "merge"]), (".chip.asked", ["waits for you"])],
    ("waiting", WHAT): [_FILES],
    ("waiting", COST): [("#cost", ["2 attempts"]), (".facts", ["sandbox none"])],
    ("limit", WHO): [
        ("#state", ["Paused, needs you"]),
        (".decide h2", ["A limit is reached: attempts: 1 of 1 used"]),
        (".buttons", ["Raise the limit"]),
    ],
    ("limit", GATE): [("#why", ["gate right failed on code/1.1: app.txt:1 it is wrong"])],
    ("limit", WHAT): [_FILES],
    ("limit", COST): [("#cost", ["1 attempt", "1 of 1 attempt"])],
    ("rejected", WHO): [
        ("#state", ["Paused, needs you"]),
        (".decide h2", ["All 2 attempts were rejected"]),
        (".buttons", ["Retry code"]),
    ],
    ("rejected", GATE): [
        ("#why", ["gate right failed on code/1.2: app.txt:1 it is wrong", "the same in the last 2 attempts"]),
    ],
    ("rejected", WHAT): [_FILES, ("#what h2", ["What code/1.2 would change"])],
    ("rejected", COST): [("#cost", ["2 attempts"])],
    ("stopped", WHO): [("#state", ["Stopped"]), ("#who", ["You: correct what is wrong on the base"])],
    ("stopped", GATE): [("#why", ["gate there failed on the base", "notes.txt: there are no notes"])],
    ("stopped", WHAT): [("#what", ["Nothing was changed"])],
    ("stopped", COST): [("#cost", ["0 attempts"])],
    ("interrupted", WHO): [("#state", ["Interrupted"]), ("#who", ["You: resume it."]), (".buttons", ["Resume"])],
    ("interrupted", WHAT): [("#what", ["Nothing is changed yet"])],
    ("interrupted", COST): [("#cost", ["1 attempt began"])],
    ("running", WHO): [
        ("#state", ["Running"]),
        ("#who", ["Nobody needs to act."]),
        (".now", ["coder works on code/1.1"]),
        (".now a[href$='/attempts/code/1.1#log']", ["code/1.1"]),
    ],
    ("running", WHAT): [("#what", ["Nothing is changed yet"])],
    ("running", COST): [("#cost", ["1 attempt began"])],
    ("accepted", WHO): [
        ("#state", ["Accepted"]),
        ("#who", ["You: review the branch and merge it."]),
        (".next", ["git merge interlock/"]),
    ],
    ("accepted", GATE): [("#caught summary", ["1 attempt did not pass on the way"])],
    ("accepted", WHAT): [("#delivered", ["branch interlock/", "one commit on the base"]), _FILES],
    ("accepted", COST): [("#cost", ["2 attempts"])],
    ("cancelled", WHO): [
        ("#state", ["Cancelled"]),
        ("#who", ["Nobody needs to act"]),
        ("#why", ["Cancelled by root"]),
    ],
    ("cancelled", WHAT): [_FILES, ("#what h2", ["What it would have changed"])],
    ("cancelled", COST): [("#cost", ["2 attempts"])],
    ("damaged", WHO): [
        ("#state", ["Damaged"]),
        ("#who", ["interlock doctor"]),
        (".next", ["interlock doctor --set-aside"]),
    ],
    ("damaged", GATE): [("#why", ["event 5 was changed"])],
}  # fmt: skip
_STATES = ("waiting", "rejected", "running", "accepted", "stopped", "cancelled", "interrupted", "damaged", "limit")
_SCREENS = {1200: 800, 390: 844}
_HEAD = ("#state", "#who", "h1", "#cost", ".facts")


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    with all_states(tmp_path_factory.mktemp("states")) as made:
        yield made


@pytest.fixture(scope="module")
def page(browser, states: States):
    return opened(browser, states)


def opened(browser, states: States, **options):
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
    page = context.new_page()
    page.goto(f"{states.site.base}/?token={states.site.token}")
    return page


def shown(page, states: States, name: str, width: int = 1200):
    page.set_viewport_size({"width": width, "height": _SCREENS[width]})
    address = f"{states.site.base}/runs/{states.run(name)}"
    if page.url != address:
        page.goto(address)
    page.evaluate("scrollTo(0, 0)")
    return page


def bottom(place) -> float:
    box = place.bounding_box()
    assert box is not None
    return float(box["y"] + box["height"])


# --- what the first screen says -------------------------------------------------------------------


@pytest.mark.parametrize(("state", "question"), _IN_FIVE_SECONDS)
def test_five_seconds_are_enough(page, states: States, state: str, question: str) -> None:
    shown(page, states, state)
    for selector, wanted in _IN_FIVE_SECONDS[state, question]:
        place = page.locator(selector).first
        words = " ".join(place.inner_text().split())
        for part in wanted:
            assert part in words, (selector, words)
        assert bottom(place) <= _SCREENS[1200], selector


@pytest.mark.parametrize("state", ["waiting", "limit", "running", "accepted"])
def test_the_head_is_in_the_first_screen_of_a_phone(page, states: States, state: str) -> None:
    shown(page, states, state, 390)
    for selector in _HEAD:
        assert bottom(page.locator(selector).first) <= _SCREENS[390], selector
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if state != "running":
        assert bottom(page.locator(".buttons, .next").first) <= _SCREENS[390]


def test_no_two_states_look_alike(page, states: States) -> None:
    looks = {}
    for state in _STATES[:-1]:  # one that reached a limit is paused, as one that was rejected
        mark = shown(page, states, state).locator("#state")
        looks[state] = (mark.inner_text(), mark.locator("svg").inner_html())
    assert len({word for word, _ in looks.values()}) == len(looks)
    assert len({icon for _, icon in looks.values()}) == len(looks)


@pytest.mark.parametrize(("width", "scheme"), rest_at_night([(390, "dark"), (1200, "light")]))
@pytest.mark.parametrize("state", rest_at_night(_STATES, 2))
def test_axe_finds_nothing(browser, states: States, state: str, width: int, scheme: str) -> None:
    page = opened(browser, states, color_scheme=scheme)
    shown(page, states, state, width)
    for summary in page.locator("summary:visible").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()[:3000]
    page.context.close()


def test_equal_attempts_are_folded_and_permalinks_open_what_they_name(page, states: States) -> None:
    shown(page, states, "rejected")
    stage = page.locator("#stage-code")
    assert stage.locator("article").count() == 1
    assert "2 times" in stage.locator("article h3").inner_text()
    shown(page, states, "waiting")
    assert page.locator("#stage-ship .phase").all_inner_texts() == ["waiting for you", "waiting for you"]
    shown(page, states, "accepted")
    assert page.locator("#stage-code").get_attribute("open") is None  # what is finished is folded
    page.goto(f"{page.url}#attempt-code/1.1")
    assert page.locator("[id='attempt-code/1.1']").is_visible()


def test_the_change_is_read_below_the_question_and_links_lead_to_lines(page, states: States) -> None:
    shown(page, states, "waiting")
    page.locator("#what a", has_text="app.txt").click()
    assert (
        page.locator("[id='f-app.txt'] .l.added code").inner_text() == "right"
    )  # against the base: the stage's input has it
    shown(page, states, "rejected")
    page.locator("#why a", has_text="app.txt:1").click()
    page.wait_for_url("**/attempts/code/1.2#finding-code/right-1")
    assert page.locator("[id='finding-code/right-1']").is_visible()
    shown(page, states, "rejected")
    page.locator("#why a", has_text="gate right").click()
    page.wait_for_url("**/attempts/code/1.2#gate-right")
    assert page.locator("[id='gate-right']").is_visible()


def test_a_strip_of_links_stays_on_a_wide_screen_and_leads_to_the_parts(page, states: States) -> None:
    shown(page, states, "waiting")
    links = page.locator("nav.parts a")
    assert links.all_inner_texts() == ["Decision", "Change", "Graph", "Timeline", "Stages", "Answers", "Cost"]
    for link in links.all():
        link.click()
        assert page.locator(link.get_attribute("href") or "").count() == 1
        assert link.is_visible()
        assert bottom(link) <= _SCREENS[1200]
    page.goto(page.url.partition("#")[0])
    shown(page, states, "waiting", 390)
    assert not links.first.is_visible()


def test_a_command_line_is_copied(browser, states: States) -> None:
    page = opened(browser, states, permissions=["clipboard-read", "clipboard-write"])
    shown(page, states, "accepted")
    page.get_by_role("button", name="Copy git merge").click()
    page.get_by_role("button", name="Copy git merge", exact=False).get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"git merge interlock/{states.run('accepted')}"
    page.context.close()


# --- what becomes of an answer --------------------------------------------------------------------


def sent(client, states: States, run: str, fields: dict[str, str]):
    return client.post(f"/runs/{run}/answers", data=fields, headers={"origin": states.site.base})


def test_the_second_of_two_tabs_sees_who_was_first(states: States) -> None:
    run = started(states.world, "approve")
    with states.site.client() as client:
        form = hidden(client.get(f"/runs/{run}").text)
        first = sent(client, states, run, {**form, "action": "approve", "comment": "I read it."})
        assert first.status_code == 303
        twice = sent(client, states, run, {**form, "action": "approve", "comment": "I read it."})
        second = sent(client, states, run, {**form, "action": "reject", "comment": "the <b>name</b> is wrong"})
        assert second.status_code == 409
        assert re.search(r"Not recorded: Somebody \(web\) approved it (just before|[\d.]+ s before)", second.text), (
            second.text
        )
        assert "the &lt;b&gt;name&lt;&#x2f;b&gt; is wrong" in second.text
        page = told(client, first.headers["location"], "accepted as ")
        assert page.count("I read it.") == 1, "a form that is sent twice is one answer"
        assert twice.status_code in (303, 409)


def told(client, address: str, words: str) -> str:
    """The page at `address` once it says `words` of the answer."""
    end = time.monotonic() + LIMIT_S
    while words not in (page := client.get(address).text):
        assert time.monotonic() < end, page
        time.sleep(0.1)
    return str(page)


def test_a_stale_question_is_refused_and_the_comment_is_kept(states: States) -> None:
    run = started(states.world, "approve")
    with states.site.client() as client:
        form = hidden(client.get(f"/runs/{run}").text)
        silent = sent(client, states, run, {**form, "action": "reject", "comment": " "})
        assert silent.status_code == 400
        assert "Say what is wrong: the next attempt is told your comment." in silent.text
        assert sent(client, states, run, {**form, "action": "approve", "mark": "", "trouble": "x"}).status_code == 409
        said = sent(client, states, run, {**form, "action": "reject", "comment": "the title is wrong"})
        page = told(client, said.headers["location"], "Somebody (web)</b> rejected ship")
        paused = told(client, said.headers["location"], "is paused")
        assert "the title is wrong" in page
        assert "rejected by Somebody (web)" in paused
        assert "failed (soft)" not in paused
        assert "rejected by Somebody (web): the title is wrong" in client.get("/").text
        assert client.get(f"/runs/{run}/answers").headers["location"] == f"/runs/{run}#answers"
        late = sent(client, states, run, {**form, "action": "approve", "comment": "now I like it"})
        assert late.status_code == 409
        assert "Not recorded: Somebody (web) rejected it" in late.text
        assert 'data-follow=""' in late.text  # no update takes the comment away
        assert re.search(r"<textarea[^>]*>now I like it</textarea>", late.text)
        assert 'value="retry"' in late.text  # the question that there is now


def test_the_second_review_shows_what_was_said_at_the_first_and_what_changed_since(page, states: States) -> None:
    run = started(states.world, "approve")
    states.world.ask("reject", run, "-m", "name it <b>better</b>", "--plain")
    states.world.ask("retry", run, "ship", "-m", "again", "--plain")
    shown(page, states, run)
    said = page.locator(".decide .rejected")
    assert re.search(r"rejected ship/1\.\d: .?name it <b>better</b>", said.inner_text())
    heading = page.locator(".decide h2").first.bounding_box()
    assert heading is not None
    assert bottom(said) <= heading["y"]
    first, second = page.locator("#what .total a.button").all()
    assert (second.inner_text(), "Changed since" in first.inner_text()) == ("The whole change", True)
    first.click()
    page.wait_for_url(re.compile(r"/attempts/ship/.*against=ship(/|%2F)1\.1#change$"))
    assert page.locator("[aria-current=true]").inner_text() == "against ship/1.1"


def test_a_hard_gate_is_overruled_behind_a_second_confirm(page, states: States) -> None:
    run = started(states.world, "never")
    shown(page, states, run)
    last = page.get_by_role("button", name="Yes, accept code/1.2 anyway")
    assert not last.is_visible()
    page.get_by_text("Accept code/1.2 anyway …").click()
    last.click()
    assert page.locator(".decide .words").inner_text().startswith("Say why you accept it")
    assert page.url.endswith(run), "nothing was sent"
    page.get_by_label("Comment").fill("I know better.")
    last.click()
    page.locator("#answered", has_text="accepted as ").wait_for(timeout=LIMIT_S * 1000)
    page.locator(".line-of-state", has_text="Overridden by a person: code/1.2").wait_for()
    assert "I know better." in page.locator("#answers").inner_text()


def test_a_limit_is_raised_and_the_run_is_cancelled_without_a_script(browser, states: States) -> None:
    run = started(states.world, "limit")
    page = opened(browser, states, java_script_enabled=False)
    shown_without_script(page, states, run)
    page.get_by_role("button", name="Raise the limit").click()
    assert "Say how much more" in page.locator(".decide .words").inner_text()
    page.get_by_label("How much more").fill("5")
    page.get_by_role("button", name="Raise the limit").click()
    until(page, "#question-1", "Merge this?")
    assert "raised a limit: attempts by 5" in page.locator("#answers").inner_text()
    assert not page.get_by_role("button", name="Yes, cancel the run").is_visible()
    page.get_by_text("Cancel the run …").click()
    page.get_by_label("Comment").fill("no need any more")
    page.get_by_role("button", name="Yes, cancel the run").click()
    until(page, "#state", "Cancelled")
    assert "the run is cancelled" in page.locator("#answered").inner_text()
    page.context.close()


def shown_without_script(page, states: States, run: str) -> None:
    page.goto(f"{states.site.base}/runs/{run}")


def until(page, selector: str, words: str) -> None:
    """Loads the page again until it says so."""
    end = time.monotonic() + LIMIT_S
    while words not in " ".join(page.locator(selector).all_inner_texts()):
        assert time.monotonic() < end, page.content()
        time.sleep(0.2)
        page.goto(page.url)


def test_an_interrupted_run_is_resumed(page, states: States, tmp_path: Path) -> None:
    shown(page, states, "interrupted")
    page.get_by_role("button", name="Resume").click()
    page.locator("#state", has_text="Running").wait_for(timeout=LIMIT_S * 1000)
