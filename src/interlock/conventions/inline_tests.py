"""Tests inside source files: which there are, whether one was changed, and a source with the tests of another. Pure.

Rule: a block is what a runner takes from the file and the product does not need: a Rust item under `#[cfg(test)]` or
`#[test]`, a vitest block under `import.meta.vitest`, a doc example. It is kept line by line; it may move, and may be
indented otherwise. What can be laid into another version of its file is `code`; a doc example cannot.

Rule: a doc example is its lines without what they stand in, and, of Rust, the flags of its fence. An example of Rust
that is marked `ignore`, or is in another language, is no test.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import dedent

from interlock.conventions import masks
from interlock.conventions.judge_files import NODE
from interlock.conventions.protected_changes import grew
from interlock.text.globs import matches_any

_RUST = ("*.rs",)
_PYTHON = ("*.py", "*.pyi")
_ATTRIBUTE = re.compile(r"#\s*\[")
_WHOLE = re.compile(r"#\s*!\s*\[\s*cfg\s*\(\s*test\s*\)\s*\]")
_OF_TEST = re.compile(r"\[\s*(?:\w+\s*::\s*)*(?:test\w*|\w*test|quickcheck)\s*[\](]")
_CONDITION = re.compile(r"\[\s*cfg\s*\((?P<when>.*)", re.S)
_NOT_TEST = re.compile(r"not\s*\(\s*test\s*\)")
_ITEM = re.compile(
    r"(?:pub\s*(?:\([^)]*\)\s*)?)?(?:(?:default|async|unsafe|safe)\s+|const\s+(?=fn|unsafe|async|extern)|extern[\s\0]+(?=fn\b))*"
    r"(?P<kind>mod|fn|use|impl|struct|enum|union|trait|const|static|type|macro_rules|extern)\b"
)
_STOP = re.compile(r"[{;]")
_TO_SEMICOLON = frozenset({"use", "const", "static", "type"})
_MODULES = re.compile(r"\bmod\s+(?P<name>\w+)\s*(?=\{)|[{}]")
_VITEST = re.compile(r"\bimport\s*\.\s*meta\s*\.\s*vitest\b")
_IF = re.compile(r"\s*if\s*\(")
_NAME_MAX = 60


@dataclass(frozen=True, slots=True)
class Documented:
    """Which doc examples the project runs: of Python those in docstrings, and in documents, by globs; `of_rust` are
    documents that a source of Rust includes."""

    docstrings: bool = False
    globs: tuple[str, ...] = ()
    of_rust: tuple[str, ...] = ()


NOTHING = Documented()


@dataclass(frozen=True, slots=True)
class Block:
    """`name` says which it is, `inside` in which modules; `start` and `end` are the place in the file of code."""

    name: str
    lines: tuple[str, ...]
    inside: tuple[str, ...] = ()
    start: int = -1
    end: int = -1

    @property
    def is_code(self) -> bool:
        return self.start >= 0


def may_hold(path: str, documented: Documented) -> bool:
    """Whether a file of this name can hold tests beside what else it is."""
    documents = matches_any(documented.globs, path) or path in documented.of_rust
    documents = documents or (documented.docstrings and matches_any(_PYTHON, path))
    return documents or matches_any((*_RUST, *NODE.sources), path)


def blocks(path: str, text: str, documented: Documented = NOTHING) -> tuple[Block, ...]:
    """The tests inside a file. `documented` says which doc examples of Python the project runs."""
    if matches_any(_RUST, path):
        return (*_of_rust(text), *_of_examples(of_rust(text, masks.rust(text))))
    if matches_any(NODE.sources, path):
        return tuple(_of_vitest(text)) if "vitest" in text else ()
    if documented.docstrings and matches_any(_PYTHON, path):
        return tuple(_of_examples(of_docstrings(text)))
    found = [*of_document(path, text)] if matches_any(documented.globs, path) else []
    found += of_markdown(text) if path in documented.of_rust else []
    return tuple(_of_examples(found))


def lost(old: Sequence[Block], new: Sequence[Block], *, may_grow: bool) -> tuple[Block, ...]:
    """The old blocks that are not among the new ones as they were. A list of doc examples may always go on below; a
    block of code may get lines only where it `may_grow`."""
    there = Counter((block.name if block.is_code else "", block.lines) for block in new)
    changed: list[Block] = []
    for block in old:
        same = (block.name if block.is_code else "", block.lines)
        changed += [] if there[same] else [block]
        there[same] -= 1 if there[same] else 0
    left = [block for block in new if there[block.name if block.is_code else "", block.lines]]
    return tuple(_not_grown(changed, left, may_grow=may_grow))


def only_tests_differ(path: str, old: str, new: str) -> bool:
    """Whether two versions of a file differ in blocks of code alone."""
    return _lines_without(path, old) == _lines_without(path, new)


def laid(path: str, source: str, tests: str) -> str:
    """The `source` with the blocks of code that `tests`, another version of the file, has, and with no others. One that
    is new inside a module is left out."""
    wanted = {_key(block, index): tests[block.start : block.end] for block, index in _numbered(path, tests)}
    pieces, at = [], 0
    for block, index in _numbered(path, source):
        pieces += [source[at : block.start], wanted.pop(_key(block, index), "")]
        at = block.end
    text = "".join([*pieces, source[at:]])
    more = [block for (inside, *_), block in wanted.items() if not inside]
    return "\n\n".join([text.rstrip("\n"), *(block.strip("\n") for block in more)]) + "\n" if more else text


def _not_grown(old: Iterable[Block], new: list[Block], *, may_grow: bool) -> Iterator[Block]:
    for block in old:
        grown = next((other for other in new if _has_grown(block, other, may_grow=may_grow)), None)
        if grown is None:
            yield block
        else:
            new.remove(grown)


def _has_grown(old: Block, new: Block, *, may_grow: bool) -> bool:
    if not old.is_code:
        return not new.is_code and old.name == new.name and new.lines[: len(old.lines)] == old.lines
    named = (old.inside, old.name) == (new.inside, new.name)
    return may_grow and named and grew("", _joined(old.lines), _joined(new.lines))


def _joined(lines: Sequence[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _key(block: Block, index: int) -> tuple[tuple[str, ...], str, int]:
    return block.inside, block.name, index


def _numbered(path: str, text: str) -> Iterator[tuple[Block, int]]:
    """The blocks of code, in order, each with its number among those of its name."""
    counted: Counter[tuple[tuple[str, ...], str]] = Counter()
    for block in blocks(path, text):
        if block.is_code:
            yield block, counted[block.inside, block.name]
            counted[block.inside, block.name] += 1


def _lines_without(path: str, text: str) -> list[str]:
    pieces, at = [], 0
    for block, _ in _numbered(path, text):
        pieces.append(text[at : block.start])
        at = block.end
    return [line.rstrip() for line in "\n".join([*pieces, text[at:]]).split("\n") if line.strip()]


# --- Rust -----------------------------------------------------------------------------------------


def _of_rust(text: str) -> Iterator[Block]:
    masked = masks.rust(text)
    if _WHOLE.search(masked):
        yield _block(text, (0, len(text)), "#![cfg(test)]")
        return
    modules = _modules(masked)
    at = 0
    while found := _ATTRIBUTE.search(masked, at):
        at, is_test = _attributes(masked, found.start())
        item = _ITEM.match(masked, at)
        if is_test and item:
            first, at = at, _item_end(masked, item)
            name = " ".join(re.split(r"[({;=]", masked[item.start("kind") : at], maxsplit=1)[0].split())
            name = name if item["kind"] != "use" else " ".join(masked[first:at].split())
            yield _block(text, (found.start(), at), name, _inside(modules, found.start()))


def _attributes(masked: str, at: int) -> tuple[int, bool]:
    """Behind the attributes that stand one after another, and whether one of them makes a test of its item."""
    is_test = False
    while found := _ATTRIBUTE.match(masked, at):
        end = masks.closing(masked, found.end() - 1)
        is_test = is_test or _makes_test(masked[found.end() - 1 : end])
        at = end
        while at < len(masked) and masked[at].isspace():
            at += 1
    return at, is_test


def _makes_test(attribute: str) -> bool:
    condition = _CONDITION.match(attribute)
    if condition:
        return re.search(r"\btest\b", _NOT_TEST.sub("", condition["when"])) is not None
    return _OF_TEST.match(attribute) is not None


def _item_end(masked: str, item: re.Match[str]) -> int:
    """Behind the brace that closes the item, or its semicolon."""
    for found in _STOP.finditer(masked, item.end()):
        at = found.start()
        if found[0] == ";" and _is_flat(masked, item.end(), at):
            return at + 1
        if found[0] == "{" and item["kind"] not in _TO_SEMICOLON and _is_flat(masked, item.end(), at):
            return masks.closing(masked, at)
    return len(masked)


def _is_flat(masked: str, start: int, end: int) -> bool:
    between = masked[start:end]
    return all(between.count(one) == between.count(other) for one, other in ("()", "[]", "{}"))


def _modules(masked: str) -> list[tuple[int, tuple[str, ...]]]:
    """Which modules are open from where on, in order."""
    opened: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    names: list[str] = []
    pending = ""
    for found in _MODULES.finditer(masked):
        if found["name"]:
            pending = found["name"]
            continue
        was = names[-1] if names else ""
        if found[0] == "{":
            names.append(pending)
        elif names:
            names.pop()
        if pending or was:
            opened.append((found.end(), tuple(name for name in names if name)))
        pending = ""
    return opened


def _inside(modules: list[tuple[int, tuple[str, ...]]], at: int) -> tuple[str, ...]:
    return modules[bisect_right(modules, at, key=lambda each: each[0]) - 1][1]


# --- others ---------------------------------------------------------------------------------------


def _of_vitest(text: str) -> Iterator[Block]:
    masked, at = masks.script(text), 0
    while found := _VITEST.search(masked, at):
        start = masked.rfind("\n", 0, found.start()) + 1
        brace = (
            masked.find("{", masks.closing(masked, opened.end() - 1)) if (opened := _IF.match(masked, start)) else -1
        )
        at = masks.closing(masked, brace) if brace >= 0 else len(text)
        yield _block(text, (start, at), "import.meta.vitest")


def _of_examples(found: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[Block]:
    return (Block(name, lines) for name, lines in found)


def _block(text: str, place: tuple[int, int], name: str, inside: tuple[str, ...] = ()) -> Block:
    start, end = place
    indented = text[text.rfind("\n", 0, start) + 1 : start]
    lines = dedent(f"{indented if indented.isspace() else ''}{text[start:end]}").splitlines()
    return Block(name[:_NAME_MAX], tuple(line.rstrip() for line in lines), inside, start, end)


# --- doc examples -------------------------------------------------------------------------------


_DOC_LINE = re.compile(r"[ \t]*//[/!] ?(?P<text>[^\n]*)")
_DOC_BLOCK = re.compile(r"/\*[*!](?P<text>.*?)\*/", re.S)
_FENCE = re.compile(r"\s*(?P<fence>`{3,}|~{3,})(?P<flags>.*)")
_OF_RUST = re.compile(
    r"rust|should_panic|no_run|compile_fail|edition\d{4}|standalone(?:_crate)?|test_harness|E\d{4}|custom|\{.*|\..*|"
)
_PROMPT = re.compile(r"(?P<indent>\s*)>>>(?: |$)")


def of_rust(text: str, masked: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The examples in doc comments, each with a name; `masked` is the text with comments and strings blanked."""
    run: list[str] = []
    at = 0
    for line in text.split("\n"):
        found = _DOC_LINE.fullmatch(line.rstrip("\r"))
        is_doc = found is not None and not line.lstrip().startswith("////") and not masked[at : at + len(line)].strip()
        if found and is_doc:
            run.append(found["text"])
        elif run:
            yield from _fenced(run)
            run = []
        at += len(line) + 1
    yield from _fenced(run)
    for block in _DOC_BLOCK.finditer(text):
        if not masked[block.start() : block.end()].strip():
            yield from _fenced([re.sub(r"^\s*\* ?", "", line) for line in block["text"].split("\n")])


def of_docstrings(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The examples of each docstring, by the name of what it describes."""
    if ">>>" not in text:
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # nothing of it runs, and another gate says so
    yield from _documented(tree, "the module")


def of_document(path: str, text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The examples of a whole document."""
    if lines := tuple(_prompted(text.splitlines())):
        yield path, lines


def of_markdown(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The examples of Rust in a document."""
    yield from _fenced(text.splitlines())


def _fenced(lines: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    fence, held = "", list[str]()
    for line in (*lines, ""):
        found = _FENCE.fullmatch(line)
        if not fence and found:
            fence, held = found["fence"], [_flags(found["flags"])]
        elif fence and found and found["fence"].startswith(fence) and not found["flags"].strip():
            yield from _example(held)
            fence = ""
        elif fence:
            held.append(line.rstrip())
    if fence:
        yield from _example([*held[:-1]])


def _flags(text: str) -> str:
    return " ".join(sorted({*re.split(r"[\s,]+", text.strip())}))


def _example(held: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    flags, *lines = held
    if all(_OF_RUST.fullmatch(flag) for flag in flags.split(" ")):
        first = next((line.strip() for line in lines if line.strip() and not line.startswith("# ")), "")
        yield f"doc example `{first[:_NAME_MAX]}`", (flags, *lines)


def _documented(node: ast.AST, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node, clean=True) or ""
        if lines := tuple(_prompted(text.splitlines())):
            yield f"the docstring of {name}", lines
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        inside = "" if name == "the module" else f"{name}."
        yield from _documented(child, f"{inside}{child.name}" if named else name)  # type: ignore[attr-defined]


def _prompted(lines: Sequence[str]) -> Iterator[str]:
    """The lines of all examples, what they expect included."""
    indent: int | None = None
    for line in lines:
        found = _PROMPT.match(line)
        if found:
            indent = len(found["indent"])
        elif not line.strip():
            indent = None
        if indent is not None:
            yield line[indent:].rstrip()
