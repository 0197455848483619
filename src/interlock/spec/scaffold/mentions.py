"""What a source file imports and which paths it names, by its text. Rule: a best effort, and nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

_IMPORTED = re.compile(r"""(?:\bfrom|\brequire\s*\(|\bimport\s*\(|\bimport|\bmock\s*\()\s*['"`]([^'"`\n]+)['"`]""")
_PLACED = re.compile(r"#\[\s*path\s*=\s*\"([^\"\n]+)\"")
_QUOTED = re.compile(r"""["'`]([^"'`\n\\]{2,200})["'`]""")
_JOINS = frozenset({"join", "joinpath", "Path", "PurePath", "with_name"})


@dataclass(frozen=True, slots=True)
class Mentions:
    """`modules` are names with dots (of Python; one that begins with dots is relative), or what stands in an import of
    JavaScript. `paths` are texts that may name a file or a folder."""

    modules: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()


def mentions(path: str, text: str) -> Mentions:
    if not path.endswith(".py"):
        placed = (f"./{name}" for name in (_PLACED.findall(text) if path.endswith(".rs") else ()))
        imported = frozenset((*_IMPORTED.findall(text), *placed))
        return Mentions(imported, frozenset(_QUOTED.findall(text)) - imported)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return Mentions()
    return Mentions(frozenset(_modules(tree)), frozenset(_paths(tree)))


def _modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = f"{'.' * node.level}{node.module or ''}"
            yield above
            yield from (f"{above}{'' if above.endswith('.') else '.'}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Assign) and any(_is_named(target, "pytest_plugins") for target in node.targets):
            yield from (each.value for each in ast.walk(node.value) if _is_text(each) and isinstance(each.value, str))


def _paths(tree: ast.Module) -> Iterator[str]:
    """Texts by themselves, and those that are joined: `root / "a" / "b.json"`, `os.path.join(here, "a", "b.json")`."""
    for node in ast.walk(tree):
        if _is_text(node) and isinstance(node.value, str) and 1 < len(node.value) <= 200 and "\n" not in node.value:
            yield node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield _joined([*_divided(node)])
        elif isinstance(node, ast.Call) and _called(node.func) in _JOINS:
            yield _joined(list(node.args))


def _divided(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield from _divided(node.left)
        yield node.right
    else:
        yield node


def _joined(parts: list[ast.expr]) -> str:
    """The texts that stand at the end."""
    found: list[str] = []
    for part in reversed(parts):
        if not (_is_text(part) and isinstance(part.value, str)):
            break
        found.insert(0, part.value)
    return "/".join(found)


def _called(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
