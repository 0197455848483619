"""Programs that git would start to read a file of the user's: `filter.NAME.clean`, `smudge` and `process`.

Rule: none of them runs. What a filter would make of a file nobody else can know, but for Git LFS: its pointer is made
here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from interlock.workspaces.git import Git

_PARTS = (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
_MODULES_MAX = 1_000


def off(git: Git, common_dir: Path) -> dict[str, str]:
    """Variables that turn off each filter that the user's configuration names, in submodules too."""
    count = int(git.environ.get("GIT_CONFIG_COUNT") or 0)
    settings = [(f"filter.{name}.{part}", value) for name in sorted(_names(git, common_dir)) for part, value in _PARTS]
    extra = {"GIT_CONFIG_COUNT": str(count + len(settings))} if settings else {}
    for number, (key, value) in enumerate(settings, count):
        extra |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return extra


def filtered(git: Git, paths: Iterable[bytes], extra: Mapping[str, str]) -> dict[bytes, str]:
    """Those of `paths` that go through a filter, with its name. `extra` is what `off` gave, at least."""
    asked = b"".join(path + b"\0" for path in paths)
    if not asked:
        return {}
    said = git.call("check-attr", "-z", "--stdin", "filter", stdin=asked, extra=extra).out.split(b"\0")
    found = zip(said[0::3], said[2::3], strict=False)
    known = {value for name, value in extra.items() if name.startswith("GIT_CONFIG_KEY_")}
    return {path: os.fsdecode(name) for path, name in found if _is_known(os.fsdecode(name), known)}


def _is_known(name: str, keys: set[str]) -> bool:
    """LFS is known without being configured: a file of its own is no pointer all the same."""
    return name == "lfs" or f"filter.{name}.clean" in keys


def _names(git: Git, common_dir: Path) -> set[str]:
    modules = [path for path, _ in zip((common_dir / "modules").rglob("config"), range(_MODULES_MAX), strict=False)]
    sources = ([], *(["--file", str(path)] for path in modules if (path.parent / "HEAD").is_file()))
    words = ("--includes", "-z", "--name-only", "--get-regexp", r"^filter\.")
    said = b"".join(git.call("config", *source, *words, codes=range(256)).out for source in sources)
    return {os.fsdecode(key).partition(".")[2].rpartition(".")[0] for key in said.split(b"\0")} - {""}
