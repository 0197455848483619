"""Annotations that functions of Python lost: what a type checker then takes for anything, or does not look at. Pure.

Rule: only what was annotated in the accepted input and is there without, under the same name. What is new, or never had
one, is fine.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

RETURN = "return"  # no parameter can be named so


@dataclass(frozen=True, slots=True)
class Signature:
    """A function by its name in the file, such as `Shop.label`: its parameters, and `return`, with an annotation or
    without."""

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
    """Each function that lost annotations, and of what. Of several with one name it is enough that one had none."""
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
