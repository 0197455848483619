"""Where pipelines lie in a repository: `interlock.yaml` at its root, and `.interlock/pipelines/NAME.yaml`."""

from __future__ import annotations

from pathlib import Path

from interlock.ports import UsageError
from interlock.spec.mistakes import nearest

ROOT_NAME = "interlock"  # what the one at the root is called


def find_pipelines(root: Path) -> dict[str, Path]:
    """By name, which is the file's without its ending; the one at the root first, then by name."""
    found = {}
    if (root / "interlock.yaml").is_file():
        found[ROOT_NAME] = root / "interlock.yaml"
    folder = root / ".interlock" / "pipelines"
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
        if path.is_file():
            found.setdefault(path.stem, path)
    return found


def locate_pipeline(root: Path, choice: str = "", command: str = "interlock run", rest: str = "") -> Path:
    """The file of `-p NAME`, or of `-p PATH` (from where we stand, or from the root), or of the only
    pipeline there is. Raises UsageError, which says how `command` is told which one; `rest` is what stands behind."""
    found = find_pipelines(root)
    if choice in found:
        return found[choice]
    if choice:
        return _by_path(root, choice, found)
    if not found:
        raise UsageError(f"there is no pipeline in {root}: run `interlock init`, or write interlock.yaml")
    if len(found) > 1 and ROOT_NAME not in found:
        names = sorted(found)
        example = " ".join(filter(None, (command, "-p", names[-1], rest)))
        raise UsageError(f"there is more than one pipeline ({', '.join(names)}): choose one, as in `{example}`")
    return next(iter(found.values()))


def _by_path(root: Path, choice: str, found: dict[str, Path]) -> Path:
    for path in (Path.cwd() / choice, root / choice):
        if ("/" in choice or choice.endswith((".yaml", ".yml"))) and path.is_file():
            return path
    hint = nearest(choice, found, "run `interlock init` to get some")
    raise UsageError(f"there is no pipeline {choice}: {hint}")
