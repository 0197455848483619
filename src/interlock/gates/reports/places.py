"""Paths that programs name in their reports, as paths of the repository."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit


def in_repository(named: str, tree: Path, folder: str) -> str:
    """`named` (a path or file URI) relative to the checkout `tree`. A relative one is taken from `folder`, where the
    program ran; what lies elsewhere stays as it is."""
    path = unquote(urlsplit(named).path) if named.startswith("file:") else named
    for root in (str(tree), str(tree.resolve())):
        if path.startswith(f"{root}/"):
            return path.removeprefix(f"{root}/")
    path = path.removeprefix("./")
    if folder and path and not path.startswith(("/", f"{folder}/")):
        return f"{folder}/{path}"
    return path
