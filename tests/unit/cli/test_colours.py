"""Diffs in colours."""

from __future__ import annotations

import click
import pytest

from interlock.cli.colours import coloured_diff, stat_line, stat_total, wants_colours
from interlock.ports import Change

PATCH = """\
diff --git a/x.sql b/x.sql
--- a/x.sql
+++ b/x.sql
@@ -1,2 +1,2 @@ select
 same
--- a comment that went
+++ a line that came"""


def test_a_line_of_the_body_is_no_header() -> None:
    lines = "".join(coloured_diff(PATCH)).splitlines()
    assert lines[1] == click.style("--- a/x.sql", bold=True)
    assert lines[3] == click.style("@@ -1,2 +1,2 @@", fg="cyan") + " select"
    assert lines[4] == " same"
    assert lines[5] == click.style("--- a comment that went", fg="red")
    assert lines[6] == click.style("+++ a line that came", fg="green")


def test_colours_change_no_text() -> None:
    assert click.unstyle("".join(coloured_diff(PATCH))) == PATCH + "\n"


@pytest.mark.parametrize(("choice", "wanted"), [("always", True), ("never", False), ("auto", False)])
def test_who_wants_colours(choice: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert wants_colours(choice) is wanted  # type: ignore[arg-type]


def test_the_sizes_of_a_change_have_the_colours_of_git() -> None:
    line = stat_line(Change("a.py", "M", "100644", "100644", 1, 2), "a.py")
    assert line == "M a.py \x1b[32m+1\x1b[0m \x1b[31m-2\x1b[0m"


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([], ""),
        ([(1, 0)], "1 file changed, 1 insertion(+)\n"),
        ([(3, 1), (0, 1)], "2 files changed, 3 insertions(+), 2 deletions(-)\n"),
        ([(0, 1)], "1 file changed, 1 deletion(-)\n"),
        ([(None, None)], "1 file changed, 0 insertions(+), 0 deletions(-)\n"),
    ],
)
def test_the_total_is_that_of_git(sizes: list[tuple[int | None, int | None]], said: str) -> None:
    assert "".join(stat_total([Change("a", "M", "100644", "100644", *size) for size in sizes])) == said
