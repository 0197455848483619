"""Changes of protected files that are allowed: test files that grow, and files in conflict. Pure.

Rule: every old line is kept, in order; only an import may name more than before, however it is wrapped:
`from x import a`, `import a, { b } from 'x'`, `const { a } = require('x')`, `use x::{a, b}`. Added lines can still
change what old tests check, so a file may grow only if a gate with `tests: base` runs the old tests as they were.

Rule: each side of a conflict was accepted, so a file may be as one of them left it. A file of tests may also hold both:
every line of each side, in order, those of the base once, and nothing else but imports that name more.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from interlock.conventions.judge_files import is_configuration, is_test_code, tests_of
from interlock.core.pipeline import Gate, GateClass, Pipeline, Stage, Tests
from interlock.text.globs import matches_any

SNAPSHOTS = ("*.snap",)  # of new tests, in the file of the old ones


_WRAPPED = {
    "py": re.compile(r"^[ \t]*from [\w.]+ import \((?:[\w\s,]|#[^\n]*\n)*\)[ \t]*(?:#[^\n]*)?\r?$", re.M),
    "js": re.compile(
        r"^[ \t]*(?:import\s[\w$\s,]*\{[\w$\s,]*\}\s*from\s*(['\"])[^'\"\n]+\1"
        r"|(?:const|let|var)\s*\{[\w$\s,:]*\}\s*=\s*(?:require|await import)\([^()\n]*\));?[ \t]*\r?$",
        re.M,
    ),
    "rs": re.compile(r"^[ \t]*use\s+(?:\w+::)+\{[\w\s,:]*\};[ \t]*\r?$", re.M),
}
_KINDS = {"py": "py", "rs": "rs", "js": "js", "ts": "js", "jsx": "js", "tsx": "js", "mjs": "js", "cjs": "js",
          "mts": "js", "cts": "js"}  # fmt: skip
_NAMES = re.compile(r"[\w$]+(?:(?:::| as |: ?)[\w$]+)*")
_FROM = re.compile(r"(\s*)from ([\w.]+) import ([\w ,]+?) *(?:#.*)?")
_IMPORT = re.compile(r"(\s*import(?: type)?) (?:([\w$]+)(?:, |(?= from)))?(?:\{([\w$ ,]+)\})? ?(from .+?);?")
_REQUIRE = re.compile(r"(\s*(?:const|let|var)) \{([\w$: ,]+)\} (= (?:require|await import)\(.+?);?")
_USE = re.compile(r"(\s*)use ((\w+)::(?:\w+::)*)(?:\{([\w:, ]+)\}|(\w+(?: as \w+)?));")


def guards(pipeline: Pipeline, stage: Stage) -> Iterator[Gate]:
    """The gates that run the base's tests on what comes of the stage: its own, and those of later stages that are
    never skipped."""
    below = pipeline.downstream(stage.id) if any(one.id == stage.id for one in pipeline.stages) else ()
    later = [one for one in map(pipeline.stage, below) if one.id != stage.id and one.when is None]
    for one in (stage, *later):
        yield from (gate for gate in one.gates if gate.tests is Tests.BASE and gate.gate_class is GateClass.HARD)


def may_grow(pipeline: Pipeline, stage: Stage, path: str) -> bool:
    """Whether the stage may add to this file: one that it `adds`, a test by its own name, that a gate guards."""
    if not matches_any(stage.scope.adds, path) or is_configuration(path):
        return False
    if not is_test_code(path) and not matches_any(SNAPSHOTS, path):
        return False
    return any(_is_guarded(gate, path) for gate in guards(pipeline, stage))


def grew(path: str, old: bytes, new: bytes) -> bool:
    """Whether `new` is `old` with lines added. Of Python each old function stays as it was, too."""
    lines = iter(joined(path, new).split(b"\n"))
    before = joined(path, old).removesuffix(b"\n").split(b"\n")
    if not all(any(_is_kept(line, other) for other in lines) for line in before):
        return False
    return not path.endswith(".py") or _are_as_before(old, new)


def _is_guarded(gate: Gate, path: str) -> bool:
    inside = not gate.dir or path.startswith(f"{gate.dir}/")
    return inside and matches_any(tests_of(gate.used), path)


def _is_kept(line: bytes, other: bytes) -> bool:
    return line == other or names_more(line, other)


def _are_as_before(old: bytes, new: bytes) -> bool:
    """Whether each function and class of the old Python is in the new one as it was, and is not defined once more.
    A class may get more methods, and a decorator more arguments, such as cases."""
    try:
        before, after = (list(_definitions(ast.parse(content), "")) for content in (old, new))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # its tests do not run, and another gate says so
    names = {name for name, _ in before}
    return before == [(name, shape) for name, shape in after if name in names]


def _definitions(node: ast.AST, inside: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _definitions(child, inside)
            continue
        name = f"{inside}.{child.name}"
        fixed = (child.bases, child.keywords) if isinstance(child, ast.ClassDef) else ([child.args], child.body)
        decorators = (each.func if isinstance(each, ast.Call) else each for each in child.decorator_list)
        yield name, " ".join(ast.dump(part) for part in (*fixed[0], *fixed[1], *decorators))
        if isinstance(child, ast.ClassDef):
            yield from _definitions(child, name)


def joined(path: str, content: bytes) -> bytes:
    """The content with each import that is wrapped on one line."""
    pattern = _WRAPPED.get(_KINDS.get(path.rpartition(".")[2], ""))
    if pattern is None:
        return content
    text = content.decode("utf-8", "surrogateescape")
    return pattern.sub(lambda found: _on_one_line(found[0]), text).encode("utf-8", "surrogateescape")


def names_more(line: bytes, other: bytes) -> bool:
    """Whether both import from one place, and the other all that the line does."""
    if not any(word in line for word in (b"import", b"require", b"use ")):
        return False
    before, after = _named(_text(line)), _named(_text(other))
    return before is not None and after is not None and before[0] == after[0] and before[1] <= after[1]


def _on_one_line(text: str) -> str:
    indent = text[: len(text) - len(text.lstrip(" \t"))]
    plain = re.sub(r"#[^\n]*", "", text) if text.lstrip().startswith("from") else text
    flat = re.sub(r",? *([})])", r" \1", " ".join(plain.split()))
    flat = re.sub(r"^(from [\w.]+ import) \( ?(.*?) ?\)$", r"\1 \2", flat)
    return indent + re.sub(r"\{ ?", "{ ", flat).replace("::{ ", "::{").replace(" };", "};")


def _named(text: str) -> tuple[tuple[str, ...], frozenset[str]] | None:
    """From where, and what; None of what is no such import."""
    if found := _FROM.fullmatch(text):
        return (found[1], found[2]), frozenset(_NAMES.findall(found[3]))
    if found := _IMPORT.fullmatch(text):
        names = {f"default {found[2]}"} if found[2] else set()
        return (found[1], found[4]), frozenset(names | set(_NAMES.findall(found[3] or "")))
    if found := _REQUIRE.fullmatch(text):
        return (found[1], found[3]), frozenset(_NAMES.findall(found[2]))
    if found := _USE.fullmatch(text):
        each = _NAMES.findall(found[4] or found[5])
        return (found[1], "use", found[3]), frozenset(found[2] + name for name in each)
    return None


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape").removesuffix("\r")


# --- files in conflict --------------------------------------------------------------------------


_OURS, _BASE, _THEIRS, _END = b"<<<<<<< ", b"||||||| ", b"=======", b">>>>>>> "
_TRIED_MAX = 100_000

_At = tuple[int, int, int, int]  # how many lines of ours, theirs, base and the new file are taken


def may_hold_both(path: str) -> bool:
    return not is_configuration(path) and (is_test_code(path) or matches_any(SNAPSHOTS, path))


def is_reconciled(path: str, marked: bytes, new: bytes, base: bytes = b"") -> bool:
    """Whether `new` is what may become of the file that merging left as `marked`. `base` is the file that both sides
    began with."""
    sides = sides_of(marked)
    if sides is None:
        return False
    if new in sides:
        return True
    ours, theirs = sides
    return (
        may_hold_both(path) and grew(path, ours, new) and grew(path, theirs, new) and _is_woven(path, sides, base, new)
    )


def sides_of(marked: bytes) -> tuple[bytes, bytes] | None:
    """The two contents; None where the marks are not those of one merge of two."""
    kept: tuple[list[bytes], list[bytes]] = ([], [])
    place = ""
    for line in marked.splitlines(keepends=True):
        mark = next((mark for mark in (_OURS, _BASE, _END) if line.startswith(mark)), b"")
        mark = mark or (_THEIRS if place and line.rstrip(b"\r\n") == _THEIRS else b"")
        after = {(_OURS, ""): "ours", (_BASE, "ours"): "base", (_THEIRS, "ours"): "theirs", (_THEIRS, "base"): "theirs",
                 (_END, "theirs"): "end"}.get((mark, place))  # fmt: skip
        if mark and after is None:
            return None
        if after is not None:
            place = "" if after == "end" else after
            continue
        for side, name in zip(kept, ("ours", "theirs"), strict=True):
            if place in ("", name):
                side.append(line)
    return None if place else (b"".join(kept[0]), b"".join(kept[1]))


def _is_woven(path: str, sides: tuple[bytes, bytes], base: bytes, new: bytes) -> bool:
    """Whether each line of `new` is the next one of a side, or of both, to the end of both; what both have of the base
    comes once, and so each of them added where it did. Blank lines do not count."""
    ours, theirs, lines = (_lines(joined(path, each)) for each in (*sides, new))
    texts = (ours, theirs, _kept_by_both(_lines(joined(path, base)), ours, theirs), lines)
    end = tuple(len(text) for text in texts)
    seen: set[_At] = set()
    waiting: list[_At] = [(0, 0, 0, 0)]
    while waiting and len(seen) < _TRIED_MAX:
        at = waiting.pop()
        if at == end:
            return True
        if at not in seen and at[3] < len(lines):
            seen.add(at)
            waiting += _steps(texts, at)
    return False


def _steps(texts: tuple[list[bytes], ...], at: _At) -> Iterator[_At]:
    """Whose line the next one may be, the likeliest last."""
    line = texts[3][at[3]]
    ours, theirs, base = (
        place < len(text) and _keeps_sides(text[place], line) for text, place in zip(texts[:3], at, strict=False)
    )
    if ours:
        yield at[0] + 1, at[1], at[2], at[3] + 1
    if theirs:
        yield at[0], at[1] + 1, at[2], at[3] + 1
    if ours and theirs:
        yield at[0] + 1, at[1] + 1, at[2], at[3] + 1
    if ours and theirs and base:
        yield at[0] + 1, at[1] + 1, at[2] + 1, at[3] + 1


def _kept_by_both(base: list[bytes], ours: list[bytes], theirs: list[bytes]) -> list[bytes]:
    kept = []
    at = [0, 0]
    for line in base:
        found = [
            next((n for n in range(p, len(s)) if _keeps_sides(line, s[n])), -1)
            for p, s in zip(at, (ours, theirs), strict=True)
        ]
        if -1 not in found:
            kept.append(line)
            at = [place + 1 for place in found]
    return kept


def _keeps_sides(line: bytes, other: bytes) -> bool:
    return line == other or names_more(line, other)


def _lines(content: bytes) -> list[bytes]:
    return [line for line in content.split(b"\n") if line.strip()]
