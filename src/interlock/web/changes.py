"""A change for review: files, their lines, and the findings at their lines.

Rule: nothing is left out in silence. What is too much is counted, with the command that prints it; what a secret
withholds is named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from urllib.parse import quote

from interlock.core.pipeline import ARTIFACTS
from interlock.gates.reports import FILE_MAX
from interlock.ports import UsageError, Workspaces
from interlock.readmodel.history import VerdictView
from interlock.readmodel.run import RunView
from interlock.service.diffs import is_withheld, visible_diff
from interlock.text.cleaning import count, plain, visible
from interlock.text.globs import matches_any
from interlock.text.patches import Bounds, FilePatch, Hunk, Row, read_patch
from interlock.web.findings import PlacedFinding, anchor, of_file, placed
from interlock.web.hunks import DrawnHunk, asked_lines, gaps_of, joined
from interlock.web.rendering import LINE_MAX, Colours, Line, drawn_lines

_BOUNDS = Bounds(lines=6_000, of_file=3_000, characters=3_000_000)
_PATCH_MAX = 50_000_000  # bytes
_KEPT_MAX = 2_000_000  # bytes of a patch whose lines are kept for the next request
_FILES_MAX = 500
_READ_MAX = 50  # files that are read for findings at lines that did not change
_READ_BYTES_MAX = 1_000_000
_NEAR = 3  # lines around a finding
_BLOCK_MAX = 64  # lines of one side alone
_FOLDED_FROM = 500  # lines of a file, if it is not the only one
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024)
_SEVERAL = {"file": "files", "binary file": "binary files", "line": "lines", "end of a line": "ends of lines"}
_LOCK_FILES = (
    "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "*.lock", "*.lockb", "*.lockfile",
    "packages.lock.json", "go.sum",
)  # fmt: skip
_GENERATED = ("*.min.js", "*.min.css", "*.js.map", "*.css.map", "*_pb2.py", "*_pb2.pyi", "*.pb.go")
_MODES = {"100644": "a file", "100755": "an executable file", "120000": "a link", "160000": "a submodule"}


@dataclass(frozen=True, slots=True)
class Ends:
    """What is compared: two commits or trees. `command` prints all of it. `address` is that of the page that shows it,
    where lines beside the change are asked for; `more` are those that were. At first `room` lines are open."""

    old: str
    new: str
    command: str
    address: str = ""
    more: tuple[str, ...] = ()
    room: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """`size` is the class of its height: about how many lines it has."""

    kind: str  # place | same | changed | findings
    place: str = ""
    title: str = ""
    lines: tuple[Line, ...] = ()
    findings: tuple[PlacedFinding, ...] = ()
    size: int = 1
    more: tuple[int, int] = (0, 0)  # the lines above a place, or at its end, that can be shown


@dataclass(frozen=True, slots=True)
class File:
    """`findings` are those of no line; `found` counts all. A file is closed if there is a reason in `folded`."""

    path: str  # can be shown
    anchor: str
    status: str  # added | deleted | changed | renamed | copied | not changed | left out
    facts: tuple[str, ...] = ()
    added: int = 0
    removed: int = 0
    parts: tuple[Part, ...] = ()
    findings: tuple[PlacedFinding, ...] = ()
    found: int = 0
    folded: str = ""
    dropped: int = 0
    digest: str = ""  # of its change: the mark that it was viewed belongs to it
    key: str = ""  # its path as findings name it

    @property
    def lines(self) -> int:
        return self.added + self.removed

    @property
    def shown(self) -> str:
        """How many of its lines can be read."""
        if not self.dropped:
            return f"{self.lines:,} line{'' if self.lines == 1 else 's'}"
        kept = sum(len(part.lines) for part in self.parts)
        return f"{kept:,} of {kept + self.dropped:,} lines"

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Changes:
    """`elsewhere` are files that have findings and did not change. `notes` say what is not shown."""

    files: tuple[File, ...]
    elsewhere: tuple[File, ...]
    notes: tuple[str, ...]
    added: int
    removed: int
    total: int  # files
    placed: frozenset[str]  # the ids of findings that are shown
    command: str
    digest: str  # of all that is shown
    address: str = ""  # of the page that shows more lines: `FILE:FIRST-LAST` is added to it


@dataclass(frozen=True, slots=True)
class _Asked:
    """A change and what is withheld of it; `patch` reads it."""

    old: str
    new: str
    left_out: tuple[str, ...]
    patch: Callable[[], bytes] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A file whose hunks have titles and lines."""

    patch: FilePatch
    hunks: tuple[DrawnHunk, ...]
    hides: bool = False  # an added line has characters that cannot be seen


@dataclass(slots=True)
class _Source:
    """Where the lines that did not change are read from. `left` files at most."""

    workspaces: Workspaces
    view: RunView
    commit: str
    left: int = _READ_MAX
    colours: Colours = field(default_factory=lambda: Colours(50_000, 0.2))

    def lines(self, path: str) -> Sequence[str]:
        """Of a text; nothing where there is none, it is withheld, or enough was read."""
        self.left -= 1
        if self.left < 0 or is_withheld(self.workspaces, self.view, self.commit, path):
            return ()
        try:
            content = self.workspaces.read(self.commit, path, _READ_BYTES_MAX) or b""
        except UsageError:
            return ()
        if not content or b"\0" in content[:8_000]:
            return ()
        return content.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")


def changes(workspaces: Workspaces, view: RunView, ends: Ends, verdicts: Sequence[VerdictView]) -> Changes:
    """The difference between two commits of a run, with the findings of `verdicts` on the newer one."""
    found = visible_diff(workspaces, view, ends.old, ends.new)
    draw = _drawn if len(found.patch) <= _KEPT_MAX else _drawn.__wrapped__
    drawn = draw(found.patch[:_PATCH_MAX])
    findings, source = placed(verdicts), _Source(workspaces, view, ends.new)
    wanted = asked_lines(ends.more)
    files = tuple(_closed(list(_files(drawn[:_FILES_MAX], findings, source, wanted)), ends.room))
    changed = {plain(each.patch.path, FILE_MAX) for each in drawn}
    others = sorted({each.finding.file for each in findings} - changed)
    elsewhere = tuple(_elsewhere(path, path in found.left_out, findings, source) for path in others)
    notes = [plain(note, 1000) for note in found.notes]
    if len(found.patch) > _PATCH_MAX:
        notes.append(f"The change is larger than {_PATCH_MAX:,} bytes: its end is not shown")
    if len(drawn) > _FILES_MAX:
        notes.append(f"{count(len(drawn) - _FILES_MAX, 'more file')} not shown")
    return Changes(
        files,
        elsewhere,
        tuple(notes),
        sum(each.patch.added for each in drawn),
        sum(each.patch.removed for each in drawn),
        len(drawn),
        frozenset(each.id for file in (*files, *elsewhere) for each in _all_findings(file)),
        ends.command,
        _digest(ends, findings, notes),
        ends.address + "".join(f"more={quote(each)}&" for each in ends.more) if ends.address else "",
    )


def not_shown(workspaces: Workspaces, view: RunView, old: str, new: str, left_out: tuple[str, ...]) -> str:
    """What a page leaves out of a change, in words; empty if it shows all of it. `left_out` are withheld files."""
    return _not_shown(_Asked(old, new, left_out, lambda: visible_diff(workspaces, view, old, new).patch))


def _digest(*parts: object) -> str:
    return sha256(repr(parts).encode("utf-8", "replace")).hexdigest()[:16]


# --- findings ---------------------------------------------------------------------------------------


def _all_findings(file: File) -> Iterator[PlacedFinding]:
    yield from file.findings
    for part in file.parts:
        yield from part.findings


def _elsewhere(path: str, is_left_out: bool, findings: Sequence[PlacedFinding], source: _Source) -> File:
    status = "left out" if is_left_out else "not changed"
    file = File(visible(path), anchor(path), status, (status,))
    return _with_findings(_Drawn(FilePatch(path, path, "changed"), ()), file, of_file(findings, path), source)


def _with_findings(
    drawn: _Drawn, file: File, found: Sequence[PlacedFinding], source: _Source, asked: Collection[int] = ()
) -> File:
    """The file with its parts: its hunks, excerpts for findings at other lines and of what is `asked` for, and the
    findings behind their lines."""
    hunks = list(drawn.hunks)
    shown = {line.new for _, lines in hunks for line in lines}
    wanted = {each.finding.line for each in found} - shown - {0}
    near = {number + by for number in wanted for by in range(-_NEAR, _NEAR + 1)} | set(asked)
    if near and drawn.patch.status != "deleted" and not drawn.patch.is_binary:
        cut = max(shown, default=0) if drawn.patch.dropped else sys.maxsize  # beyond it nobody knows what changed
        hunks += _excerpts(drawn, {number for number in near if number < cut}, source)
        hunks = list(joined(sorted(hunks, key=lambda hunk: next(line.new or line.old for line in hunk[1]))))
        shown = {line.new for _, lines in hunks for line in lines}
    at: dict[int, list[PlacedFinding]] = {}
    for each in found:
        at.setdefault(each.finding.line if each.finding.line in shown else 0, []).append(each)
    goes_on = file.status in ("changed", "renamed")
    gaps = gaps_of(hunks, is_cut=bool(drawn.patch.dropped)) if goes_on else [(0, 0)] * (len(hunks) + 1)
    parts = [
        replace(part, more=gap) if part.kind == "place" else part
        for gap, (place, lines) in zip(gaps, hunks, strict=False)
        for part in _parts(place, lines, at)
    ]
    if any(gaps[-1]):
        parts.append(Part("place", more=gaps[-1]))
    if drawn.patch.status in ("added", "deleted"):
        parts = parts[1:]  # the one place is the whole file
    return replace(file, parts=tuple(parts), findings=tuple(at.get(0, ())), found=len(found))


def _excerpts(drawn: _Drawn, wanted: set[int], source: _Source) -> Iterator[DrawnHunk]:
    """Lines that did not change, of those that are wanted."""
    lines = source.lines(drawn.patch.path)
    changed = [line for _, rows in drawn.hunks for line in rows]
    shown = {line.new for line in changed}
    near = {number for number in wanted if 1 <= number <= len(lines)}
    for _, group in groupby(enumerate(sorted(near - shown)), lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in group]
        moved = sum((line.old == 0) - (line.new == 0) for line in changed if (line.new or line.old) < numbers[0])
        first = 0 if drawn.patch.dropped else numbers[0] - moved
        rows = [Row(" ", first and first + at, number, lines[number - 1]) for at, number in enumerate(numbers)]
        yield (f"lines {numbers[0]} to {numbers[-1]}", ""), drawn_lines(rows, drawn.patch.path, source.colours)


def _parts(place: tuple[str, str], lines: Sequence[Line], at: dict[int, list[PlacedFinding]]) -> Iterator[Part]:
    yield Part("place", *place)
    block: list[Line] = []
    for line in lines:
        is_mixed = len({one.kind for one in block}) > 1
        other = bool(block) and (block[-1].kind == "same") != (line.kind == "same")
        turned = bool(block) and (block[-1].kind, line.kind) == ("added", "removed")
        if other or turned or (len(block) >= _BLOCK_MAX and not is_mixed and block[-1].kind == line.kind):
            yield _block(block)
            block = []
        block.append(line)
        if line.new and line.new in at:
            yield _block(block)
            yield Part("findings", findings=tuple(at[line.new]))
            block = []
    if block:
        yield _block(block)


def _block(lines: Sequence[Line]) -> Part:
    size = next((size for size in _SIZES if size >= len(lines)), _SIZES[-1])
    return Part("same" if lines[0].kind == "same" else "changed", lines=tuple(lines), size=size)


# --- files ------------------------------------------------------------------------------------------


def _files(
    drawn: Sequence[_Drawn], findings: Sequence[PlacedFinding], source: _Source, asked: Mapping[str, Collection[int]]
) -> Iterator[File]:
    keys = [plain(each.patch.path, FILE_MAX) for each in drawn]
    for number, (key, each) in enumerate(zip(keys, drawn, strict=True), 1):
        patch, again = each.patch, keys[number:].count(key)  # such as a link that became a file
        name = anchor(key) + (f"~{again}" if again else "")
        file = File(visible(patch.path), name, patch.status, tuple(_facts(each)), patch.added, patch.removed)
        found = [] if again else of_file(findings, key)
        shown = _with_findings(each, file, found, source, () if again else asked.get(key, ()))
        yield replace(shown, dropped=patch.dropped, digest=patch.digest, key=key)


def _facts(drawn: _Drawn) -> Iterator[str]:
    """What there is to say of a file besides its lines."""
    patch = drawn.patch
    if patch.status in ("renamed", "copied"):
        yield f"{patch.status} from {visible(patch.old_path)}"
        yield from [f"{patch.similarity} % alike"] * (patch.similarity < 100)
    elif patch.status != "changed":
        yield patch.status
    old, new = _MODES.get(patch.old_mode, patch.old_mode), _MODES.get(patch.new_mode, patch.new_mode)
    if old and new:
        yield f"it was {old} and is now {new}"
    elif (new or old) not in ("", _MODES["100644"]):
        yield new or old
    if patch.is_binary:
        has_size = patch.size >= 0 and patch.status != "deleted"
        yield f"binary, {patch.size:,} bytes" if has_size else "binary"
    elif not patch.added and not patch.removed and patch.status in ("added", "deleted"):
        yield "empty"
    if patch.path != visible(patch.path):
        yield "its name has characters that cannot be seen"
    if drawn.hides:
        yield "it has characters that cannot be seen: a sign stands for each"


def _closed(files: Sequence[File], room: int) -> Iterator[File]:
    """Those that are large, that a tool writes, that are shown elsewhere, or for which there is no `room` beside
    smaller ones, unless a finding is in them."""
    fitting, left = set(), room
    for number in sorted(range(len(files)), key=lambda number: files[number].lines):
        left -= files[number].lines
        fitting |= {number} if left >= 0 else set()
    for number, file in enumerate(files):
        lines = file.lines
        why = ""
        if file.path.startswith(f"{ARTIFACTS}/"):
            why = "document, not delivered"
        elif matches_any(_LOCK_FILES, file.name):
            why = "lock file"
        elif matches_any(_GENERATED, file.name):
            why = "generated"
        elif lines > _FOLDED_FROM and len(files) > 1:
            why = "large"
        elif number not in fitting:
            why = "large" if len(files) == 1 else "the change is large"
        yield replace(file, folded="" if file.found or not lines else why)


# --- lines ------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)  # a page is drawn again at each event of its run
def _not_shown(asked: _Asked) -> str:
    patch = asked.patch()
    if len(patch) > _PATCH_MAX:
        return f"it is larger than {_PATCH_MAX:,} bytes"
    files = read_patch(patch, _BOUNDS)
    kept = [row for file in files[:_FILES_MAX] for hunk in file.hunks for row in hunk.rows]
    counts = {
        "file": len(files[_FILES_MAX:]) + len(asked.left_out),
        "binary file": sum(file.is_binary and file.status != "deleted" for file in files[:_FILES_MAX]),
        "line": sum(file.dropped for file in files[:_FILES_MAX]),
        "end of a line": sum(len(row.text) > LINE_MAX for row in kept),
    }
    told = [f"{number:,} {noun if number == 1 else _SEVERAL[noun]}" for noun, number in counts.items() if number]
    return f"{' and '.join(told)} left out" if told else ""


@lru_cache(maxsize=8)
def _drawn(patch: bytes) -> tuple[_Drawn, ...]:
    colours = Colours()
    files = read_patch(patch, _BOUNDS)
    small_first = sorted(range(len(files)), key=lambda number: files[number].added + files[number].removed)
    drawn = {number: _draw(files[number], colours) for number in small_first}
    return tuple(drawn[number] for number in range(len(files)))


def _draw(file: FilePatch, colours: Colours) -> _Drawn:
    hunks = tuple((_place(hunk), drawn_lines(hunk.rows, file.path, colours)) for hunk in file.hunks)
    texts = (row.text.removesuffix("\r") for hunk in file.hunks for row in hunk.rows if row.sign == "+")
    return _Drawn(replace(file, hunks=()), hunks, any(visible(text) != text for text in texts))


def _place(hunk: Hunk) -> tuple[str, str]:
    first = next((row for row in hunk.rows if row.new), hunk.rows[0])
    last = next((row for row in reversed(hunk.rows) if row.new), hunk.rows[-1])
    return f"lines {first.new or first.old} to {last.new or last.old}", visible(hunk.title)
