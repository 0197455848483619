"""Programs that git would start to read a file of the user's (`filter.NAME.clean`, `smudge`, `process`), and configured
hooks (`hook.NAME.command`, from git 2.54 on), which `core.hooksPath` does not turn off.

Rule: none of them runs. What a filter would make of a file nobody else can know, but for Git LFS, whose pointers are
made here. In a submodule, where other filters may be configured, git is not started at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from interlock.process import Captured
from interlock.workspaces.git import Git, Trust

_PARTS = {
    "filter": (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")),
    "hook": (("enabled", "false"),),
}
PLAIN = ("-c", "core.splitIndex=false", "-c", "core.untrackedCache=false", "-c", "advice.addEmbeddedRepo=false")
_ALL = b":/"
_BUT = b":(exclude,top,literal)"


def off(git: Git) -> dict[str, str]:
    """Variables that turn off each filter and each hook that the configuration names under which `git` runs."""
    count = int(git.environ.get("GIT_CONFIG_COUNT") or 0) if git.trust is Trust.USER else 0
    found = sorted(_names(git))
    settings = [(f"{kind}.{name}.{part}", value) for kind, name in found for part, value in _PARTS[kind]]
    extra = {"GIT_CONFIG_COUNT": str(count + len(settings))} if settings else {}
    for number, (key, value) in enumerate(settings, count):
        extra |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return extra


def add_all(git: Git, top: Path, extra: Mapping[str, str]) -> Captured:
    """`git add --all` for the working tree `top`, which starts nothing to see what is dirty in a submodule: of that
    nothing comes along. `extra` is what `off` gave, at least. Returns what git said, whatever its exit code."""
    submodules = _submodules(git, top, extra)
    wanted = b"\0".join([_ALL, *(_BUT + path for path in submodules)])
    words = (*PLAIN, "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul")
    done = git.call(*words, stdin=wanted, extra=extra, codes=range(256))
    if done.code or not submodules:
        return done
    heads = b"".join(path + b"\0" for path in submodules)
    return git.call(*PLAIN, "update-index", "-z", "--stdin", stdin=heads, extra=extra, codes=range(256))


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


def _names(git: Git) -> set[tuple[str, str]]:
    words = ("config", "--includes", "-z", "--name-only", "--get-regexp", r"^(filter|hook)\..*\.")
    keys = [os.fsdecode(key).partition(".") for key in git.call(*words, codes=(0, 1)).out.split(b"\0") if key]
    return {(kind, rest.rpartition(".")[0]) for kind, _, rest in keys}


def _submodules(git: Git, top: Path, extra: Mapping[str, str]) -> list[bytes]:
    """Those of the index that are checked out: only in these would git start itself."""
    listed = git.call("ls-files", "--stage", "-z", extra=extra).out.split(b"\0")
    paths = {line.partition(b"\t")[2] for line in listed if line.startswith(b"160000 ")}
    return sorted(path for path in paths if os.path.lexists(top / os.fsdecode(path) / ".git"))
