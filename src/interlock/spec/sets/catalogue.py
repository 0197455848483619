"""The names of all ready gates, and the one way to resolve them."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from interlock.spec.sets import languages
from interlock.spec.sets.ready import Ready

LANGUAGES: tuple[str, ...] = tuple(sorted(found.name for found in pkgutil.iter_modules(languages.__path__)))
MEMBERS: tuple[str, ...] = ("build", "lint", "types", "test")
NAMES: tuple[str, ...] = tuple(f"{language}.{member}" for language in LANGUAGES for member in MEMBERS)


def resolve(name: str, folder: Path) -> Ready:
    """What `name`, such as python.test, stands for in `folder`. Only reads.

    Raises LookupError, naming the known ones, where there is no such ready gate.
    """
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise LookupError(f"there is no ready gate {name!r}{guess} (known: {', '.join(NAMES)})")
    language, member = name.split(".")
    return _member(language, member)(folder)


def _member(language: str, member: str) -> Callable[[Path], Ready]:
    found: Callable[[Path], Ready] = getattr(import_module(f"{languages.__name__}.{language}"), member)
    return found
