"""The change of an attempt, read in a browser: its files, lines, findings, permalinks and keys."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.cli_world import World, new_world
from tests.contract.web.world import Served, served
from tests.nightly import rest_at_night

from interlock.text.patches import read_patch

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

_CORE = "import os\n\n\ndef twice(value):\n    return value * 2\n\n\n" + "".join(f"x{n} = {n}\n" for n in range(60))
_FOUND = [("core.py", 5, "it is wrong"), ("core.py", 50, "it is unused"), ("README.md", 2, "it says another thing")]
_AGENT = r"""
import os, pathlib
first = os.environ["INTERLOCK_ATTEMPT"].endswith("1.1")
core = pathlib.Path("core.py")
text = core.read_text().replace("value * 2\n", f"value * {3 if first else 4}\n")
core.write_text(text.replace("x10 = 10\nx11 = 11\n", "x10 = 7\nx11 = 8\n"))
pathlib.Path("src/über uns").mkdir(parents=True, exist_ok=True)
pathlib.Path("src/über uns/x y.py").write_text('def right(): return "' + "long" * 300 + '"\n')
pathlib.Path("large.py").write_text("".join(f"def f{n}(value): return value + {n}\n" for n in range(1500)))
pathlib.Path("tool.sh").chmod(0o755)
pathlib.Path("old.txt").rename("new.txt")
pathlib.Path("data.bin").write_bytes(bytes(range(256)))
"""
_PIPELINE = """\
version: 1
agents:
  own: {use: command, run: [python3, agent.py]}
stages:
  code:
    agent: own
    attempts: 2
    gates:
      - {id: lint, run: 'cp found.json $REPORT; cat core.py', report: sarif}
"""


def _sarif() -> str:
    results = [
        {
            "ruleId": "R1",
            "level": "error",
            "message": {"text": message},
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": line}}},
            ],
        }
        for file, line, message in _FOUND
    ]
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": results}]})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Served]]:
    files = {"interlock.yaml": _PIPELINE, "agent.py": _AGENT, "core.py": _CORE, "README.md": "a\nb\nc\n",
             "found.json": _sarif(), "tool.sh": "#!/bin/sh\n", "old.txt": "line\n" * 9}  # fmt: skip
    world = new_world(tmp_path_factory.mktemp("changes"), files)
    with served(world) as one:
        yield world, one


@pytest.fixture(scope="module")
def attempts(site: tuple[World, Served]) -> str:
    """The address of the attempts of a run that was rejected twice."""
    world, _ = site
    world.ask("run", "-t", "Make it right.", "--plain").ended(3)
    return f"/runs/{world.show()['id']}/attempts"


def opened(browser, site, path: str, width: int = 1200, scheme: str = "light", **more):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
    page = context.new_page()
    page.goto(f"{site[1].base}/?token={site[1].token}")
    page.goto(site[1].base + path)
    return page


def place(locator) -> float:
    """Where it is in the window, from its top, when nothing moves any more."""
    before = None
    while before != (before := locator.bounding_box()["y"]):
        locator.page.wait_for_timeout(100)
    return before


def test_lines_have_numbers_colours_and_marked_words(browser, site, attempts: str) -> None:
    page = opened(browser, site, f"{attempts}/code/1.1")
    file = page.locator("details.file", has_text="core.py").first
    assert file.locator(".l.added code").all_inner_texts() == ["    return value * 3", "x10 = 7", "x11 = 8"]
    assert file.locator(".l.removed mark, .l.added mark").all_inner_texts() == ["2", "3", "10", "11", "7", "8"]
    assert file.locator(".l.added .c-k").all_inner_texts() == ["return"]
    assert file.locator(".l.added .n").first.inner_text() == "5"
    facts = page.locator("details.file > summary").all_inner_texts()
    for words in ("renamed from old.txt", "binary, 256 bytes", "it was a file and is now an executable file"):
        assert any(words in fact for fact in facts), facts
    assert page.locator("nav.files a").count() == 7  # six of them changed
    assert page.get_by_text("6 files").count() == 1


def test_findings_stand_at_their_lines_and_the_verdicts_lead_there(browser, site, attempts: str) -> None:
    page = opened(browser, site, f"{attempts}/code/1.1")
    order = page.locator("details.file[id='f-core.py'] :is(.l.added, .l.same:not(.copy), .finding)")
    told = [text.replace("\n", " ") for text in order.all_inner_texts()]
    wrong = next(number for number, text in enumerate(told) if "it is wrong" in text)
    assert "return value * 3" in told[wrong - 1]
    unused = next(number for number, text in enumerate(told) if "it is unused" in text)
    assert [told[unused + step].split()[-3:] for step in (-2, -1, 1)] == [
        [f"x{number}", "=", str(number)] for number in (41, 42, 43)
    ]
    elsewhere = page.locator("details.file", has_text="README.md").last
    assert "not changed" in elsewhere.locator("summary").inner_text()
    page.locator(".verdicts a", has_text="README.md:2").click()
    assert page.url.endswith("#finding-code/lint-3")
    assert 0 < place(elsewhere.locator(".finding")) < 860


@pytest.mark.parametrize("script", [True, False])
def test_a_permalink_leads_to_its_line(browser, site, attempts: str, script: bool) -> None:
    """Also into a file that is closed, and behind many lines that were never drawn."""
    path = f"{attempts}/code/1.1#f-large.py-L1200"
    page = opened(browser, site, path, java_script_enabled=script)
    line = page.locator("[id='f-large.py-L1200']")
    line.wait_for()
    low, high = (250, 650) if script else (30, 860)  # in the middle of the window, or in it
    assert low < place(line) < high
    assert line.locator("code").inner_text() == "def f1199(value): return value + 1199"
    odd = page.locator("details.file", has_text="x y.py").locator(".l.added a").first.get_attribute("href")
    page.goto(f"{site[1].base}{attempts}/code/1.1{odd}")
    assert 0 < place(page.locator("details.file", has_text="x y.py").locator(".l.added")) < 860


def test_what_it_is_compared_with_is_in_the_address(browser, site, attempts: str) -> None:
    page = opened(browser, site, f"{attempts}/code/1.2")
    current = page.get_by_label("Compared with").locator("[aria-current]")
    assert current.inner_text() == "against its input"
    page.get_by_role("link", name="against code/1.1").click()
    assert "against=code/1.1" in page.url.replace("%2F", "/")
    assert current.inner_text() == "against code/1.1"
    assert page.locator(".l.removed code").all_inner_texts() == ["    return value * 3"]
    assert page.locator(".l.added code").all_inner_texts() == ["    return value * 4"]
    page.get_by_role("link", name="against the run's base").click()
    assert page.locator(".l.removed code").first.inner_text() == "    return value * 2"
    assert "interlock diff" in page.locator(".changes .command").inner_text()
    with site[1].client() as client:
        assert client.get(f"{attempts}/code/1.2?against=code/9.9").status_code == 404


@pytest.mark.parametrize("width", [390, 1200, 1920])
def test_nothing_is_wider_than_the_window(browser, site, attempts: str, width: int) -> None:
    page = opened(browser, site, f"{attempts}/code/1.1", width)
    for item in page.locator("details.file:not([open]) > summary").all():
        item.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = "[...document.querySelectorAll('.l:not(.copy) code')].filter((line) => line.scrollWidth > line.clientWidth)"
    assert page.evaluate(f"{cut}.length") == 0
    left = page.locator("[id='f-core.py'] .l.removed").last.bounding_box()
    right = page.locator("[id='f-core.py'] .l.added").last.bounding_box()
    assert (left["y"] == right["y"]) is (width >= 1200)
    assert page.get_by_role("button", name="One column").is_visible() is (width >= 1200)
    if width >= 1200:
        assert left["x"] + left["width"] <= right["x"]
        page.get_by_role("button", name="One column").click()
        page.reload()  # it is kept
        assert (
            page.locator("[id='f-core.py'] .l.removed").last.bounding_box()["x"]
            == (page.locator("[id='f-core.py'] .l.added").last.bounding_box()["x"])
        )


def test_keys_lead_from_one_finding_or_file_to_the_next(browser, site, attempts: str) -> None:
    page = opened(browser, site, f"{attempts}/code/1.1")
    here = "(document.activeElement.closest('.finding') || document.activeElement.closest('.file') || {}).id"
    gone = []
    for _ in range(4):
        page.keyboard.press("n")
        gone.append(page.evaluate(here))
    assert gone == ["f-core.py", "finding-code/lint-1", "finding-code/lint-2", "f-data.bin"]
    page.keyboard.press("p")
    assert page.evaluate(here) == "finding-code/lint-2"
    assert 0 < place(page.locator("[id='finding-code/lint-2']")) < 860
    page.keyboard.press("v")
    assert page.evaluate("document.documentElement.dataset.review") == "unified"
    page.keyboard.press("?")
    assert "next finding or file" in page.locator("dialog").inner_text()


@pytest.mark.parametrize(
    ("width", "scheme"), rest_at_night([(1200, "dark"), (390, "light"), (1200, "light"), (390, "dark")])
)
def test_axe_finds_nothing(browser, site, attempts: str, tmp_path: Path, scheme: str, width: int) -> None:
    page = opened(browser, site, f"{attempts}/code/1.1", width, scheme)
    page.screenshot(path=str(tmp_path / f"changes-{scheme}-{width}.png"), full_page=True)
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()[:3000]


def test_a_page_that_is_patched_leaves_the_same_change_alone(browser, site, attempts: str) -> None:
    page = opened(browser, site, f"{attempts}/code/1.1#f-large.py-L9")
    page.locator("[id='f-core.py'] .l.added code").first.evaluate("line => { line.textContent = 'not drawn again'; }")
    site[0].ask("cancel", attempts.split("/")[2]).ended(0)
    page.locator("body[data-follow='']").wait_for(timeout=60_000, state="attached")  # it was patched: the run is over
    assert page.locator("[id='f-core.py'] .l.added code").first.inner_text() == "not drawn again"
    assert page.locator("[id='f-large.py'][open]").count() == 1


_CONTENT = st.lists(
    st.sampled_from(
        [b"a", b"b", b"", b"-- a", b"++ b", b"@@ -1 +1 @@", b"diff --git a/x b/x", b"\xff\r", b"\x0c", b"\t"]
    ),
    max_size=30,
).map(b"\n".join) | st.binary(max_size=20)


def test_a_file_that_was_viewed_is_closed_and_counted(browser, site, attempts: str) -> None:
    page = opened(browser, site, f"{attempts}/code/1.2")
    files = page.locator("details.file[data-change]").count()
    file = page.locator("details.file", has_text="core.py").first
    assert page.get_by_text(f"0 of {files} viewed").is_visible()
    file.get_by_label("Viewed").check()
    assert file.get_attribute("open") is None
    page.reload()
    assert page.get_by_text(f"1 of {files} viewed").is_visible()
    assert file.get_attribute("open") is None
    page.goto(page.url.replace("1.2", "1.1"))  # its change is another one there
    assert page.get_by_text(f"0 of {files} viewed").is_visible()
    page.context.close()


@pytest.mark.parametrize("script", [True, False])
def test_more_lines_are_a_link_away(browser, site, attempts: str, script: bool) -> None:
    page = opened(browser, site, f"{attempts}/code/1.2", java_script_enabled=script)
    file = page.locator("details.file", has_text="core.py").first
    assert file.locator("#f-core\\.py-L31").count() == 0
    file.get_by_role("link", name="Show more lines below").first.click()
    page.wait_for_url("**more=core.py*")
    assert page.locator("#f-core\\.py-L58, #f-core\\.py-L60").count()
    page.context.close()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(_CONTENT, _CONTENT), min_size=1, max_size=8), st.integers(0, 4))
def test_what_git_writes_is_read_back(files: list[tuple[bytes, bytes]], around: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", folder, "-c", "core.autocrlf=false", "-c", "core.safecrlf=false"]
        paths = [Path(folder, f"ä {number}") for number in range(len(files))]
        for path, (old, _) in zip(paths, files, strict=True):
            path.write_bytes(old)
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
        subprocess.run([*git, "add", "-A"], check=True, capture_output=True)
        for path, (_, new) in zip(paths, files, strict=True):
            path.write_bytes(new)
        wanted = [*git, "diff", "--binary", "--full-index", "--no-color", f"-U{around}"]
        patch = subprocess.run(wanted, check=True, capture_output=True).stdout
    read = {file.path: file for file in read_patch(patch)}
    assert len(read) == sum(old != new for old, new in files)
    for path, (old, new) in zip(paths, files, strict=True):
        file = read.get(path.name)
        if file is None or file.is_binary:
            assert old == new or b"\0" in old + new
            continue
        rows = [row for hunk in file.hunks for row in hunk.rows]
        for signs, content, side in ((" -", old, "old"), (" +", new, "new")):
            lines = lines_of(content)
            for row in (row for row in rows if row.sign in signs):
                number = getattr(row, side)
                assert row.text.encode("utf-8", "surrogateescape") == lines[number - 1]
                assert row.has_newline is (number < len(lines) or content.endswith(b"\n"))
        rest = [line for number, line in enumerate(lines_of(old), 1) if number not in {row.old for row in rows}]
        assert rest == [line for number, line in enumerate(lines_of(new), 1) if number not in {row.new for row in rows}]


def lines_of(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]
