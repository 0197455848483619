"""Requirements by their ids: in the documents of a run's stages, and in the sources of tests that prove a change.

Rule: an id stands for itself: REQ-1 is not found in REQ-12, and names of standards such as UTF-8 are none. Of Python
the function alone is read, its decorators and the comments right above; of others, and where a report tells no place,
the file. Of sources only what the candidate changed is read.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence

from interlock.core.globs import matches_any
from interlock.core.pipeline import ARTIFACTS, Artifact
from interlock.gates.context import GateContext
from interlock.gates.inline import text_of_blocks
from interlock.gates.proof import ProvingTest, proven_in
from interlock.ports import GateRequest, UsageError

DOCUMENT_MAX = 100_000  # bytes
_ID = r"[A-Z][A-Z0-9]{0,15}(?:-[A-Z0-9]{1,15})*-\d{1,6}"
_STANDARDS = ("AES-", "CVE-", "CWE-", "ECMA-", "IEEE-", "ISO-", "MD-", "PEP-", "RFC-", "RSA-", "SHA-", "SHA3-", "UTF-")


def ids_in(text: str, pattern: str = "") -> Iterator[str]:
    """Each id in order, as often as it stands there: of `pattern`, or such as REQ-12."""
    for found in re.finditer(rf"(?<![\w-])(?:{pattern or _ID})(?![\w-])", text):
        if found.group() and (pattern or not found.group().startswith(_STANDARDS)):
            yield found.group()


def document(context: GateContext, request: GateRequest, name: str) -> str:
    """The text of STAGE/NAME in the candidate, empty where there is none. Raises KeyError for a name that no
    stage produces."""
    stage, _, wanted = name.partition("/")
    for artifact in request.pipeline.stage(stage).produces:
        if artifact.name == wanted:
            return content(context, request, stage, artifact)
    raise KeyError(name)


def content(context: GateContext, request: GateRequest, stage: str, artifact: Artifact) -> str:
    """The beginning of a stage's artifact as text."""
    path = f"{ARTIFACTS}/{stage}/{artifact.file}"
    found = context.workspaces.read(request.commit, path, artifact.max_bytes)
    return (found or b"")[:DOCUMENT_MAX].decode("utf-8", "replace")


_FILE_MAX = 1_000_000


def sources(context: GateContext, request: GateRequest, proof: bytes, within: Sequence[str]) -> Iterator[str]:
    """The id of each test that `proof` names, and its source: where `within` has globs, only of tests in such files."""
    changed: Sequence[str] = json.loads(proof)["files"]
    for test in proven_in(proof):
        paths = _files(test, changed)
        kept = [path for path in paths if not within or matches_any(within, path)]
        if kept:
            yield test.id
        for path in kept:
            yield _source(_read(context, request, path), path, test)


def _files(test: ProvingTest, changed: Sequence[str]) -> Sequence[str]:
    """The changed file that the test is of; all of them where nothing tells."""
    named = [path for path in changed if path == test.file or _is_module(path, test.id)]
    return named[:1] or ([] if test.file else changed)


def _is_module(path: str, test_id: str) -> bool:
    dotted = path.removesuffix(".py").replace("/", ".")
    return path.endswith(".py") and test_id.startswith((f"{dotted}.", f"{dotted}::"))


def _read(context: GateContext, request: GateRequest, path: str) -> str:
    try:
        return (context.workspaces.read(request.commit, path, _FILE_MAX) or b"").decode("utf-8", "replace")
    except UsageError:
        return ""


def _source(content: str, path: str, test: ProvingTest) -> str:
    if not path.endswith(".py"):
        return text_of_blocks(path, content)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    owner, _, name = test.id.partition("[")[0].rpartition("::")
    inside = owner.rpartition(".")[2]
    lines = content.splitlines()
    return "\n".join(_lines(lines, found) for found in _functions(tree, name, inside))


def _functions(tree: ast.Module, name: str, inside: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of that name: those of the class, where one is called so."""
    owners: list[ast.AST] = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == inside]
    found = [node for owner in owners or [tree] for node in ast.walk(owner)]
    functions = (node for node in found if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return [node for node in functions if node.name == name]


def _lines(lines: list[str], node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "\n".join(lines[first : node.end_lineno])
