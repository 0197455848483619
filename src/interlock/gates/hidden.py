"""Code of Python that runs and that a type checker does not see. Pure.

Rule: what only a checker sees may be anything that does not end the block: names for annotations, mostly. What only
runs may import and name things, and no more. What was there in the accepted input is fine, statement by statement.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import MappingProxyType

from interlock.gates.suppressions import Suppression

_WHAT = "is hidden from type checkers: let them see it"
# What checkers take these names for, wherever they come from.
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
    """Each statement that is hidden, in order; none of a text that is no Python."""
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
    judged: set[ast.expr] = set()  # conditions of a kind that is looked through
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and (names := _flags(node.test)):
            judged.update(names)
            yield from _in_branches(node)
        elif isinstance(node, ast.alias) and node.asname and node.name in (*_KNOWN, *_UNCHECKED):
            yield node  # under another name nobody can follow it
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            used = [each for each in node.decorator_list if _name(each) in _UNCHECKED]
            judged.update(used)
            yield from (_named(each, node.name) for each in used)
        elif isinstance(node, ast.expr) and node not in judged and _is_use(node):
            yield node


def _named(decorator: ast.expr, name: str) -> ast.alias:
    """The decorator with the name of what it hides."""
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
    """What ends the block, wherever it stands in the statement; a definition ends none."""
    if isinstance(statement, ast.stmt) and _is_end(statement):
        yield statement
    elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
        for child in ast.iter_child_nodes(statement):
            yield from _ends(child)


def _is_end(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assert):
        return isinstance(statement.test, ast.Constant) and not statement.test.value
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _name(statement.value.func) in _EXITS
    return isinstance(statement, _ENDS)


def _flags(test: ast.expr) -> list[ast.expr]:
    return [node for node in ast.walk(test) if isinstance(node, ast.expr) and _name(node) in _KNOWN]


def _known(test: ast.expr) -> bool | None:
    """What a checker takes the condition for; None where that hangs on more."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _known(test.operand)
        return None if inner is None else not inner
    return _KNOWN.get(_name(test))


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_use(node: ast.expr) -> bool:
    return _name(node) in (*_KNOWN, *_UNCHECKED) and isinstance(getattr(node, "ctx", None), ast.Load)


def _is_plain(statement: ast.stmt) -> bool:
    """An import, or a name for what is there already."""
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
    makes = [node for node in nodes if isinstance(node, ast.Call) and _name(node.func) in _MADE]
    return all(isinstance(node, _VALUES) or node in makes for node in nodes)
