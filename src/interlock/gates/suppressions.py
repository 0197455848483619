"""Linters and type checkers that a candidate switched off: findings of the gate that runs them.

Rule: what the accepted input had is fine, in the same file or in one that was moved, and so is what speaks of one line,
such as `# noqa: E501`. Searched for are comments for a whole file, Python code that is hidden from type checkers, and
annotations that were removed. What only a checker sees may be anything that does not end the block: names for
annotations, mostly. What only runs may import and name things, and no more.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from interlock.conventions.judge_files import LANGUAGES
from interlock.core.events import Finding, VerdictStatus
from interlock.core.pipeline import Gate, GateKind
from interlock.ports import Change, GateRequest, Judgement, UsageError, Workspaces
from interlock.text.globs import matches_any

_READ_MAX = 2_000_000
_FILES_MAX = 5_000
_TOOLS = frozenset(
    {"ruff", "flake8", "pylint", "mypy", "pyright", "basedpyright", "pyrefly", "ty", "pytype", "eslint", "biome",
     "oxlint", "tslint", "tsc", "xo", "standard", "golangci-lint", "staticcheck", "revive", "clippy", "checkstyle"}
)  # fmt: skip
_TYPE_CHECKERS = frozenset({"mypy", "pyright", "basedpyright", "pyrefly", "ty", "pytype"})


def with_suppressions(workspaces: Workspaces, request: GateRequest, judgement: Judgement) -> Judgement:
    """The judgement of a gate; failed if the candidate switched its linter or type checker off."""
    if (
        judgement.status is VerdictStatus.ERRORED
        or request.tree == request.input_tree
        or not _runs_a_checker(request.gate)
    ):
        return judgement
    findings = tuple(_findings(workspaces, request))
    if not findings:
        return judgement
    return replace(judgement, status=VerdictStatus.FAILED, findings=(*findings, *judgement.findings))


def _runs_a_checker(gate: Gate) -> bool:
    return gate.used.endswith((".lint", ".types")) or (not gate.used and not _TOOLS.isdisjoint(_words(gate)))


def _checks_types(gate: Gate) -> bool:
    return gate.used == "python.types" or (not gate.used and not _TYPE_CHECKERS.isdisjoint(_words(gate)))


def _words(gate: Gate) -> list[str]:
    if gate.kind != GateKind.RUN or gate.command is None:
        return []
    return " ".join(gate.command.words).replace("/", " ").replace("'", " ").replace('"', " ").split()


def _findings(workspaces: Workspaces, request: GateRequest) -> Iterator[Finding]:
    changes = workspaces.changes(request.input_tree, request.tree)[:_FILES_MAX]
    yield from _stubs(workspaces, request, changes)
    types = _checks_types(request.gate)
    yield from _unannotated(workspaces, request, changes) if types else ()
    moved: Counter[str] = Counter()
    for change in changes:
        if change.status == "D":
            moved.update(
                {item.text for item in _suppressions_of(workspaces, request.input_commit, change, types=types)}
            )
    for change in changes:
        if change.status == "D":
            continue
        before = {item.text for item in _suppressions_of(workspaces, request.input_commit, change, types=types)}
        for item in _suppressions_of(workspaces, request.commit, change, types=types):
            if item.text in before:
                continue
            if change.status == "A" and moved[item.text]:
                moved[item.text] -= 1
                continue
            message = f"{change.path}:{item.line}: {item.text} {item.what}, and fix"
            message = f"{message} what they find; if one line is an exception, suppress the rule on that line"
            yield Finding("suppressed", message, file=change.path, line=item.line)


def _stubs(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """A new stub beside a module: Python type checkers read it instead of the module."""
    for change in changes:
        module = change.path.removesuffix("i")
        if change.status == "A" and change.path.endswith(".pyi") and workspaces.files(request.commit, (f"/{module}",)):
            message = f"{change.path}: type checkers read this stub instead of {module}: delete it"
            yield Finding("suppressed", message, file=change.path)


def _unannotated(workspaces: Workspaces, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """Functions that lost annotations, in the same file or in one that was moved."""
    python = [change for change in changes if language_of(change.path) == "python"]
    gone = [change for change in python if change.status == "D"]
    moved = tuple(one for change in gone for one in signatures(_content(workspaces, request.input_commit, change)))
    for change in python:
        before = signatures(_content(workspaces, request.input_commit, change)) if change.status != "A" else moved
        for one, names in lost(before, signatures(_content(workspaces, request.commit, change))):
            message = f"{change.path}:{one.line}: {one.name} lost its annotation of {', '.join(names)}, without which"
            message = f"{message} type checkers look less closely: put it back, and fix what they find"
            yield Finding("suppressed", message, file=change.path, line=one.line)


def _suppressions_of(workspaces: Workspaces, commit: str, change: Change, *, types: bool) -> tuple[Suppression, ...]:
    language = language_of(change.path)
    if not language:
        return ()
    text = _content(workspaces, commit, change)
    return (*found(language, text), *(hidden(text) if types and language == "python" else ()))


def _content(workspaces: Workspaces, commit: str, change: Change) -> str:
    try:
        content = workspaces.read(commit, change.path, _READ_MAX)
    except UsageError:  # larger than any source
        return ""
    return (content or b"").decode("utf-8", "replace")


_I = re.IGNORECASE
# Python: in any comment; in a comment on a line of its own without indentation; the same, before any code.
_ANYWHERE = re.compile(
    r"#\s*(ruff\s*:\s*(noqa|ignore-file|disable)|flake8\s*[:=]\s*noqa|mypy\s*:\s*(?!strict\b)\w|pytype\s*:\s*skip-file"
    r"|pyre-ignore-all-errors|pyre-unsafe|isort\s*:\s*skip_file|pylint\s*:\s*skip-file|ty\s*:\s*ignore-file"
    r"|ruff\s*:\s*isort\s*:\s*skip_file|pyrefly\s*:\s*ignore-(all-)?errors)",
    _I,
)  # fmt: skip
_AT_MARGIN = re.compile(
    r"#\s*(pylint\s*:\s*disable(-all)?\b(?!-next)|pyright\s*:\s*(basic|off|standard|report\w+\s*=))", _I
)
_BEFORE_CODE = re.compile(r"#\s*(type|pyright|ty)\s*:\s*ignore", _I)
_OTHERS = MappingProxyType(
    {
        "node": re.compile(
            r"@ts-nocheck\b|/[*/]\s*(eslint|oxlint|tslint:|jshint|stylelint)-?disable(?!-?(next-)?line)\b"
            r"|/\*\s*eslint\s[^*]*:\s*\[?\s*[\"']?(0\b|off)|biome-ignore-(all|start)\b|deno-lint-ignore-file\b|/\*\s*jshint\s+ignore:start"
            r"|tslint:disable(?!-(next-)?line)\b"
        ),
        "go": re.compile(
            r"//\s*lint:file-ignore\b|//\s*revive:disable(?!-(next-)?line)\b|^package\s.*//\s*nolint\b", re.MULTILINE
        ),
        "rust": re.compile(r"^\s*#!\[\s*(cfg_attr\s*\(.*)?\b(allow|expect)\b", re.MULTILINE),
        "java": re.compile(
            r"CHECKSTYLE\s*:\s*OFF|spotless:off|PMD\s*:\s*OFF|detekt\.\w+\s*:\s*off|@file:\s*\[?\s*Suppress\b|noinspection\s+ALL"
            r"|@Suppress(Warnings|FBWarnings)?\s*\([^)]*\"all\"[^)]*\)(\s*@[\w.]+(\([^)]*\))?|\s*\b(public|protected|private|"
            r"internal|abstract|open|final|static|sealed|non-sealed|strictfp|data)\b)*\s*\b(class|interface|enum|record|object)\b",
            _I,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Suppression:
    line: int
    text: str  # as it is in the file, without blanks around it
    what: str = "switches checks off for a whole file: remove it"


def language_of(path: str) -> str:
    """The programming language of the file; empty for any other file."""
    return next((name for name, language in LANGUAGES.items() if matches_any(language.sources, path)), "")


def found(language: str, text: str) -> tuple[Suppression, ...]:
    """Those of a file's text, in their order."""
    if language == "python":
        return tuple(_in_python(text))
    pattern = _OTHERS.get(language)
    if pattern is None:
        return ()
    lines = text.split("\n")
    starts = dict.fromkeys(text.count("\n", 0, match.start()) for match in pattern.finditer(text))
    plain = [Suppression(number + 1, lines[number].strip() or lines[number]) for number in starts]
    return (*plain, *(_above_the_package(lines) if language == "go" else ()))


def _in_python(text: str) -> Iterator[Suppression]:
    is_code, last = False, 0
    no_code = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.NEWLINE)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            last = token.start[0]
            is_code = is_code or token.type not in no_code
            at_margin = token.type == tokenize.COMMENT and token.start[1] == 0
            if token.type == tokenize.COMMENT and (
                _ANYWHERE.match(token.string)
                or (at_margin and _AT_MARGIN.match(token.string))
                or (at_margin and not is_code and _BEFORE_CODE.match(token.string))
            ):
                yield Suppression(token.start[0], token.string.strip())
    except (tokenize.TokenError, SyntaxError):  # it does not compile, and a linter may read it in any way
        for number, line in enumerate(text.split("\n"), 1):
            if number > last and _ANYWHERE.search(line):
                yield Suppression(number, line.strip())


def _above_the_package(lines: list[str]) -> Iterator[Suppression]:
    for number, line in enumerate(lines[:-1], 1):
        if lines[number].startswith("package ") and re.match(r"//\s*nolint\b", line):
            yield Suppression(number, line.strip())


_WHAT = "is hidden from type checkers: make it visible"
# The values that checkers assume for these names, wherever they come from.
_KNOWN = MappingProxyType({"TYPE_CHECKING": True, "MYPY": True, "PY3": True, "PY2": False})
_UNCHECKED = frozenset({"no_type_check", "no_type_check_decorator"})
_ENDS = (ast.Return, ast.Raise, ast.Break, ast.Continue, ast.While)
_INDENT = 8  # of a statement in a branch of the module
_EXITS = frozenset({"exit", "_exit", "quit", "abort"})
_MADE = frozenset({"TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "TypeAliasType", "object"})
_VALUES = (
    ast.Name, ast.Attribute, ast.Constant, ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.BitOr, ast.expr_context,
    ast.IfExp, ast.Compare, ast.cmpop, ast.keyword,
)  # fmt: skip


def hidden(text: str) -> tuple[Suppression, ...]:
    """The statements that are hidden from type checkers, in order; none if the text is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    lines = text.splitlines()
    found = {(node.lineno, _shown(node, lines)) for node in _hidden(tree)}
    return tuple(Suppression(line, shown, _WHAT) for line, shown in sorted(found))


def _shown(node: ast.stmt | ast.expr | ast.alias, lines: list[str]) -> str:
    line = lines[node.lineno - 1].strip() if node.lineno <= len(lines) else ""
    name = getattr(node, "name", "")
    return line if not name or name in line else f"{line} {name}"


def _hidden(tree: ast.Module) -> Iterator[ast.stmt | ast.expr | ast.alias]:
    judged: set[ast.expr] = set()  # conditions that are understood
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and (names := _flags(node.test)):
            judged.update(names)
            yield from _in_branches(node)
        elif isinstance(node, ast.alias) and node.asname and node.name in (*_KNOWN, *_UNCHECKED):
            yield node  # under another name it cannot be followed
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            used = [each for each in node.decorator_list if _name_of(each) in _UNCHECKED]
            judged.update(used)
            yield from (_named(each, node.name) for each in used)
        elif isinstance(node, ast.expr) and node not in judged and _is_use(node):
            yield node


def _named(decorator: ast.expr, name: str) -> ast.alias:
    """The decorator, with the name of what it hides."""
    return ast.alias(name, None, lineno=decorator.lineno, col_offset=decorator.col_offset)


def _in_branches(node: ast.If) -> Iterator[ast.stmt]:
    seen = _known(node.test)
    for branch, is_seen in ((node.body, seen), (node.orelse, None if seen is None else not seen)):
        for statement in branch:
            if is_seen:
                yield from _ends(statement)
            elif not _is_plain(statement):
                yield statement


def _ends(statement: ast.AST) -> Iterator[ast.stmt]:
    """Statements that end the block, anywhere in the statement; a definition ends none."""
    if isinstance(statement, ast.stmt) and _is_end(statement):
        yield statement
    elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
        for child in ast.iter_child_nodes(statement):
            yield from _ends(child)


def _is_end(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assert):
        return isinstance(statement.test, ast.Constant) and not statement.test.value
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _name_of(statement.value.func) in _EXITS
    return isinstance(statement, _ENDS)


def _flags(test: ast.expr) -> list[ast.expr]:
    return [node for node in ast.walk(test) if isinstance(node, ast.expr) and _name_of(node) in _KNOWN]


def _known(test: ast.expr) -> bool | None:
    """The value that a checker assumes for the condition; None if it depends on more."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _known(test.operand)
        return None if inner is None else not inner
    return _KNOWN.get(_name_of(test))


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_use(node: ast.expr) -> bool:
    return _name_of(node) in (*_KNOWN, *_UNCHECKED) and isinstance(getattr(node, "ctx", None), ast.Load)


def _is_plain(statement: ast.stmt) -> bool:
    """Whether it is an import, or a name for something that exists."""
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.FunctionDef):
        return statement.name == "__getattr__" and statement.col_offset <= _INDENT  # of the module
    if isinstance(statement, ast.Assign):
        return all(_is_value(each) for each in (*statement.targets, statement.value))
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None or _is_value(statement.value)
    if isinstance(statement, ast.If):
        return all(_is_plain(each) for each in (*statement.body, *statement.orelse))
    if isinstance(statement, ast.Try):
        handled = [each for handler in statement.handlers for each in handler.body if not isinstance(each, ast.Raise)]
        return all(_is_plain(each) for each in (*statement.body, *handled, *statement.orelse, *statement.finalbody))
    return False


def _is_value(value: ast.expr) -> bool:
    nodes = list(ast.walk(value))
    makes = [node for node in nodes if isinstance(node, ast.Call) and _name_of(node.func) in _MADE]
    return all(isinstance(node, _VALUES) or node in makes for node in nodes)


RETURN = "return"  # no parameter can have this name


@dataclass(frozen=True, slots=True)
class Signature:
    """A function with its name in the file, such as `Shop.label`: its parameters, and `return`, with and without an
    annotation."""

    name: str
    line: int
    annotated: frozenset[str]
    bare: frozenset[str]


def signatures(text: str) -> tuple[Signature, ...]:
    """Those of a file's text; none of a text that is no Python."""
    try:
        return tuple(_signatures(ast.parse(text), ""))
    except (SyntaxError, ValueError, RecursionError):
        return ()


def lost(before: tuple[Signature, ...], now: tuple[Signature, ...]) -> Iterator[tuple[Signature, tuple[str, ...]]]:
    """Each function that lost annotations, and which. If several have one name, an annotation counts only if all had
    it."""
    had = _by_name(before)
    for one in now:
        if gone := one.bare & had.get(one.name, frozenset()):
            yield one, tuple(sorted(gone))


def _by_name(found: tuple[Signature, ...]) -> Mapping[str, frozenset[str]]:
    had: dict[str, frozenset[str]] = {}
    bare: dict[str, frozenset[str]] = {}
    for one in found:
        had[one.name] = had.get(one.name, frozenset()) | one.annotated
        bare[one.name] = bare.get(one.name, frozenset()) | one.bare
    return {name: names - bare[name] for name, names in had.items()}


def _signatures(node: ast.AST, inside: str) -> Iterator[Signature]:
    for child in ast.iter_child_nodes(node):
        name = inside
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{inside}.{child.name}" if inside else child.name
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _of(child, name)
        yield from _signatures(child, name)


def _of(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> Signature:
    given = node.args
    each = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    places = {one.arg: one.annotation for one in each} | {RETURN: node.returns}
    annotated = frozenset(place for place, annotation in places.items() if annotation is not None)
    return Signature(name, node.lineno, annotated, frozenset(places) - annotated)
