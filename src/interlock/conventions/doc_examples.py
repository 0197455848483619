"""Doc examples that a runner takes for tests: of rustdoc, and of Python's doctest. Pure.

Rule: an example is its lines without what they stand in, and, of Rust, the flags of its fence. Of Rust one that is
`ignore`, or of another language, is none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DOC_LINE = re.compile(r"[ \t]*//[/!] ?(?P<text>[^\n]*)")
_DOC_BLOCK = re.compile(r"/\*[*!](?P<text>.*?)\*/", re.S)
_FENCE = re.compile(r"\s*(?P<fence>`{3,}|~{3,})(?P<flags>.*)")
_OF_RUST = re.compile(
    r"rust|should_panic|no_run|compile_fail|edition\d{4}|standalone(?:_crate)?|test_harness|E\d{4}|custom|\{.*|\..*|"
)
_PROMPT = re.compile(r"(?P<indent>\s*)>>>(?: |$)")
_NAME_MAX = 60


@dataclass(frozen=True, slots=True)
class Documented:
    """Which doc examples the project runs: of Python those in docstrings, and in documents, by globs; `of_rust` are
    documents that a source of Rust includes."""

    docstrings: bool = False
    globs: tuple[str, ...] = ()
    of_rust: tuple[str, ...] = ()


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
