"""A change for review: where its findings stand, how its files are called, and what is too much."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.core.events import Finding, Severity, VerdictGiven, VerdictStatus
from interlock.core.ids import AttemptId
from interlock.core.pipeline import ARTIFACTS
from interlock.ports import Change, UsageError
from interlock.readmodel.history import AttemptPhase, AttemptView, VerdictView
from interlock.web.changes import Changes, Ends, File, _drawn, changes, not_shown
from interlock.web.findings import anchor, finding_id

_ENDS = Ends("old", "new", "interlock diff run code/1.1")


class Store:
    """In the place of the store."""

    def __init__(self, patch: str, files: dict[str, str] | None = None) -> None:
        self.text, self.files, self.read_paths = patch, files or {}, list[str]()

    def patch(self, old: str, new: str, without: Sequence[str] = ()) -> bytes:
        return "" if without else self.text.encode()  # type: ignore[return-value]

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        return tuple(Change(path, "M", "100644", "100644") for path in self.files)

    def read(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        self.read_paths.append(path)
        if path == "huge":
            raise UsageError("too large")
        return self.files[path].encode() if path in self.files else None


def patch(name: str, *lines: str, begin: int = 1, head: str = "") -> str:
    old, new = (sum(line[0] in signs for line in lines) for signs in (" -", " +"))
    names = f"diff --git a/{name} b/{name}\n{head}--- a/{name}\n+++ b/{name}\n"
    return names + f"@@ -{begin},{old} +{begin},{new} @@ def f():\n" + "".join(f"{line}\n" for line in lines)


def verdict(*findings: Finding, gate: str = "code/lint", number: int = 1) -> VerdictView:
    return VerdictView(0.0, VerdictGiven(AttemptId("code", 1, 1), gate, number, VerdictStatus.FAILED, findings))


def found(file: str, line: int = 0, message: str = "wrong") -> Finding:
    return Finding("rule", message, file=file, line=line)


def made(store: Store, *verdicts: VerdictView, stages: Sequence[Any] = ()) -> Changes:
    return changes(store, SimpleNamespace(stages=stages), _ENDS, verdicts)  # type: ignore[arg-type]


def left(text: str, left_out: tuple[str, ...] = ()) -> str:
    ends = (f"{len(text)}", f"{left_out}")  # a commit never changes
    return not_shown(Store(text), SimpleNamespace(stages=()), *ends, left_out)  # type: ignore[arg-type]


def test_what_a_page_leaves_out_is_counted() -> None:
    assert left("") == left(patch("a.py", "+x")) == ""
    assert left(patch("a.py", *["+x"] * 3_002)) == "2 lines left out"
    assert left(patch("a.py", "+x", "+" + "x" * 2_001)) == "1 end of a line left out"
    assert left(patch("a.py", "+x"), ("***",)) == "1 file left out"
    nul = "diff --git a/a.js b/a.js\nnew file mode 100644\nindex 0..1\nGIT binary patch\nliteral 16\nabc\n\n"
    assert left(nul) == "1 binary file left out"  # one NUL in a comment is enough for git
    many = "".join(patch(f"{number}.py", "+x") for number in range(503))
    assert left(many, ("a", "b")) == "5 files left out"
    assert left(patch("b.py", *["+x"] * 3_001) + patch("a.py", "+" + "x" * 3_000_000)) == "2 lines left out"


def outline(file: File) -> list[str]:
    """Its parts: signs with new numbers, and messages."""
    signs = {"same": " ", "added": "+", "removed": "-"}
    told = []
    for part in file.parts:
        if part.kind == "place":
            told.append(f"@ {part.place}")
        elif part.kind == "findings":
            told += [f"! {each.finding.message}" for each in part.findings]
        else:
            told.append("".join(f"{signs[line.kind]}{line.new or line.old}" for line in part.lines))
    return told


TEXT = "".join(f"line {number}\n" for number in range(1, 41))


def test_a_finding_stands_behind_its_line() -> None:
    store = Store(patch("a.py", " line 9", "-x", "+line 10", "+line 11", " line 12", begin=9), {"a.py": TEXT})
    file = made(store, verdict(found("a.py", 10), found("a.py", 12, "other"))).files[0]
    assert outline(file) == ["@ lines 9 to 12", " 9", "-10+10", "! wrong", "+11", " 12", "! other"]
    assert (file.found, file.findings, store.read_paths) == (2, (), [])


def test_a_finding_at_a_line_that_did_not_change_has_it_with_its_neighbours() -> None:
    store = Store(patch("a.py", " line 9", "+line 10", " line 11", begin=9), {"a.py": TEXT})
    file = made(store, verdict(found("a.py", 1), found("a.py", 13), found("a.py", 30))).files[0]
    assert outline(file) == [
        "@ lines 1 to 4", " 1", "! wrong", " 2 3 4", "@ lines 9 to 16", " 9", "+10", " 11 12 13",
        "! wrong", " 14 15 16", "@ lines 27 to 33", " 27 28 29 30", "! wrong", " 31 32 33", "@ ",
    ]  # fmt: skip
    lines = {line.new: line for part in file.parts for line in part.lines}
    assert (lines[4].old, lines[12].old, lines[30].old) == (4, 11, 29)
    assert "30" in lines[30].html


def test_a_finding_that_has_no_line_there_stands_at_its_file() -> None:
    store = Store(patch("a.py", "+x"), {"a.py": "x\n"})
    file = made(store, verdict(found("a.py"), found("a.py", 7, "beyond"))).files[0]
    assert [each.finding.message for each in file.findings] == ["wrong", "beyond"]
    gone = patch("g.py", "-x", head="deleted file mode 100644\n")
    assert len(made(Store(gone), verdict(found("g.py", 1))).files[0].findings) == 1


def test_findings_of_other_files_stand_elsewhere() -> None:
    store = Store(patch("a.py", "+x"), {"b.py": TEXT})
    result = made(store, verdict(found("b.py", 3), found("huge", 1), found("none", 1), Finding("r", "no file")))
    assert [(file.path, file.status) for file in result.elsewhere] == [
        ("b.py", "not changed"), ("huge", "not changed"), ("none", "not changed"),
    ]  # fmt: skip
    assert outline(result.elsewhere[0]) == ["@ lines 1 to 6", " 1 2 3", "! wrong", " 4 5 6"]
    assert result.elsewhere[1].findings[0].finding.message == "wrong"
    assert result.placed == {"finding-code/lint-1", "finding-code/lint-2", "finding-code/lint-3"}


def test_what_a_secret_withholds_is_named_and_never_read() -> None:
    secret = verdict(Finding("secret", "holds a secret", file="key.txt", line=1), gate="code/scope")
    attempt = AttemptView(
        AttemptId("code", 1, 1), AttemptPhase.REJECTED, "own", "", "", "", 0.0, commit="new", verdicts=(secret,)
    )
    store = Store("", {"key.txt": "sk-secret"})
    result = made(store, secret, stages=[SimpleNamespace(attempts=(attempt,))])
    assert result.files == ()
    assert "key.txt is left out" in result.notes[0]
    assert [(file.path, file.status, len(file.findings)) for file in result.elsewhere] == [("key.txt", "left out", 1)]
    assert store.read_paths == []


def test_permalinks_of_findings_are_their_gate_and_number() -> None:
    assert finding_id(verdict(), 2) == "finding-code/lint-2"
    assert finding_id(verdict(number=3), 1) == "finding-code/lint.3-1"


@pytest.mark.parametrize("name", ["a b", "ä\x1b[31m", 'q"x', "<b>", "%41", "a#b", "a?b", "x-L12", "x~1", "", "字"])
def test_permalinks_of_odd_names_are_names_of_the_web(name: str) -> None:
    assert re.fullmatch(r"f-[\w./+@-]*~[0-9a-f]{8}|f-字", anchor(name))
    assert anchor(name) != anchor(name + "'")


def test_permalinks_are_readable_and_differ() -> None:
    assert anchor("src/app/core.py", 12) == "f-src/app/core.py-L12"
    assert anchor("src/über.py") == "f-src/über.py"
    assert anchor("x-L12") != anchor("x", 12)
    assert anchor("a b") != anchor("ab")


def test_a_link_that_became_a_file_is_two_files_with_two_permalinks() -> None:
    both = patch("l", "-to", head="deleted file mode 120000\n") + patch("l", "+text", head="new file mode 100644\n")
    first, second = made(Store(both), verdict(found("l", 1))).files
    assert (first.anchor, second.anchor) == (f"{anchor('l')}~1", anchor("l"))
    assert (first.found, second.found) == (0, 1)
    assert (first.facts, second.facts) == (("deleted", "a link"), ("added",))


def test_what_became_of_a_file_is_said_in_words() -> None:
    heads = {
        "similarity index 96%\nrename from a b\nrename to c\n": ("renamed from a b", "96 % alike"),
        "old mode 100644\nnew mode 100755\n": ("it was a file and is now an executable file",),
        "new file mode 100644\nGIT binary patch\nliteral 1234\nzcmV\n": ("added", "binary, 1,234 bytes"),
        "new file mode 160000\n": ("added", "a submodule", "empty"),
    }
    for head, facts in heads.items():
        assert made(Store(f"diff --git a/c b/c\n{head}")).files[0].facts == facts


def test_characters_that_cannot_be_seen_are_told() -> None:
    file = made(Store(patch("a.py", "+x = 'user\u202e'"))).files[0]
    assert file.facts == ("it has characters that cannot be seen: a sign stands for each",)
    name = 'diff --git "a/x\\033[31m" "b/x\\033[31m"\nold mode 100644\nnew mode 100755\n'
    file = made(Store(name)).files[0]
    assert file.path == "x⟨ESC⟩[31m"
    assert file.facts[-1] == "its name has characters that cannot be seen"


def test_large_and_generated_files_are_closed_unless_a_finding_is_in_them() -> None:
    large = [f"+{number}" for number in range(501)]
    names = ("yarn.lock", "x/b.min.js", "c.py", f"{ARTIFACTS}/plan/plan.md")
    store = Store(patch("a.py", *large) + "".join(patch(name, "+x") for name in names))
    wanted = ["large", "lock file", "generated", "", "document, not delivered"]
    assert [file.folded for file in made(store).files] == wanted
    assert [file.folded for file in made(store, verdict(found("yarn.lock", 1))).files][1] == ""
    assert made(Store(patch("a.py", *large))).files[0].folded == ""  # there is no other to read


def test_of_a_large_change_beside_its_question_the_small_files_are_open() -> None:
    sizes = {"all.py": 7_002, "one.py": 1, "many.py": 300, "more.py": 390, "rest.py": 4_000}
    text = "".join(patch(name, *["+x"] * size) for name, size in sizes.items())
    ends = Ends("old", "new", "c", room=400)
    files = changes(Store(text), SimpleNamespace(stages=()), ends, ()).files  # type: ignore[arg-type]
    assert [(file.folded, file.shown) for file in files] == [
        ("large", "2,309 of 7,002 lines"), ("", "1 line"), ("", "300 lines"), ("the change is large", "390 lines"),
        ("large", "3,000 of 4,000 lines"),
    ]  # fmt: skip
    alone = changes(Store(patch("a.py", *["+x"] * 7_002)), SimpleNamespace(stages=()), ends, ()).files  # type: ignore[arg-type]
    assert [(file.folded, file.shown) for file in alone] == [("large", "3,000 of 7,002 lines")]


def test_the_mark_of_a_file_is_of_all_of_its_change() -> None:
    def marks(text: str) -> list[str]:
        return [file.digest for file in made(Store(text)).files]

    head = [f"+{number}" for number in range(3_000)]
    binary = "diff --git a/a b/a\nindex {}\nGIT binary patch\nliteral 9\nabc\n"
    beyond = patch("a.py", *head, "+1"), patch("a.py", *head, "+2")
    tail = patch("a.py", "+" + "x" * 2_000 + "1"), patch("a.py", "+" + "x" * 2_000 + "2")
    for one, other in (beyond, tail, (binary.format("1..2"), binary.format("1..3"))):
        assert marks(one) == marks(one) != marks(other)


def test_what_is_beyond_the_shown_lines_is_not_called_unchanged() -> None:
    lines = [f"{number}" for number in range(3_200)]
    store = Store(patch("a.txt", *[f"+{line}" for line in lines]), {"a.txt": "\n".join(lines)})
    (file,) = made(store, verdict(found("a.txt", 3_100))).files
    assert {line.kind for part in file.parts for line in part.lines} == {"added"}
    assert [each.finding.line for each in file.findings] == [3_100]


def test_what_is_too_much_is_counted() -> None:
    lines = [f"+{number}" for number in range(5_000)]
    result = made(Store(patch("a.txt", *lines) + patch("b.txt", *lines) + patch("c.txt", *lines)))
    assert [file.dropped for file in result.files] == [2_000, 2_000, 5_000]
    assert (result.added, result.total) == (15_000, 3)
    many = made(Store("".join(patch(f"{number}.txt", "+x") for number in range(502))))
    assert (len(many.files), many.notes) == (500, ("2 more files not shown",))


def test_lines_are_drawn_once_unless_the_change_is_huge() -> None:
    for size, hits in ((10, 1), (2_000_000, 0)):
        _drawn.cache_clear()
        store = Store(patch("a.txt", "+" + "x" * size))
        assert made(store) == made(store)
        assert _drawn.cache_info().hits == hits


def test_findings_of_any_number_are_bounded() -> None:
    result = made(Store(""), *(verdict(*(found(f"f{number}", 1) for number in range(100))) for _ in range(9)))
    assert sum(file.found for file in result.elsewhere) == 300


def test_severity_is_kept() -> None:
    one = Finding("rule", "m", Severity.WARNING, "a.py", 1)
    (part,) = [part for part in made(Store(patch("a.py", "+x")), verdict(one)).files[0].parts if part.findings]
    assert part.findings[0].finding.severity == "warning"
    assert part.findings[0].gate == "lint"


# --- more lines -------------------------------------------------------------------------------------


def asked(store: Store, *more: str) -> File:
    ends = Ends("old", "new", "c", "/a?", more)
    return changes(store, SimpleNamespace(stages=()), ends, ()).files[0]  # type: ignore[arg-type]


def offered(file: File) -> list[tuple[int, int]]:
    return [part.more for part in file.parts if part.kind == "place"]


def test_lines_beside_a_hunk_are_shown_when_they_are_asked_for() -> None:
    store = Store(patch("a.py", " line 29", " line 30", " line 31", "-x", "+line 32", begin=29), {"a.py": TEXT})
    file = asked(store)
    assert (outline(file), offered(file)) == (["@ lines 29 to 32", " 29 30 31", "-32+32"], [(9, 28)])
    file = asked(store, "a.py:9-28", "b.py:1-3", "a.py:x", "a.py:33-9999999")
    numbers = " ".join(map(str, range(9, 32)))
    assert outline(file)[:3] == ["@ lines 9 to 40", f" {numbers}", "-32+32"]  # 40 is the last line
    assert offered(file) == [(1, 8), (41, 60)]
    assert asked(store).digest == file.digest  # it is the same change
    other = Store(store.text.replace("+line 32", "+line X"), store.files)
    assert asked(other).digest != file.digest


def test_no_more_lines_are_offered_than_there_are() -> None:
    at_end = patch("a.py", "-x", "+line 1", " line 2", begin=1)
    assert offered(asked(Store(at_end, {"a.py": TEXT}))) == [(0, 0)]
    goes_on = patch("a.py", "-x", "+line 1", " line 2", " line 3", " line 4", begin=1)
    assert offered(asked(Store(goes_on, {"a.py": TEXT}))) == [(0, 0), (5, 24)]
    added = patch("a.py", "+line 1", head="new file mode 100644\n")
    assert offered(asked(Store(added, {"a.py": TEXT}))) == []
