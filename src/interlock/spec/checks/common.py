"""What several subjects check alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.core.pipeline import Command
    from interlock.spec.checks.view import View
    from interlock.spec.where import Path

_TEMPLATE = re.compile(r"\{\{-?\s*(task|inputs|run|stage|artifacts|feedback|item)\b([^}]*)")
_VARIABLES = {
    "task": "$TASK", "inputs": "$INPUT_NAME", "run": "$INTERLOCK_RUN", "stage": "$INTERLOCK_STAGE",
    "artifacts": "$ARTIFACT_STAGE_NAME", "feedback": "the brief", "item": "$ITEM",
}  # fmt: skip


def passed_on(view: View, at: Path, env: tuple[str, ...], secrets: tuple[str, ...]) -> None:
    """Environment variables that are passed by name: each once."""
    for key, names in (("env", env), ("secrets", secrets)):
        for index, name in enumerate(names):
            if name in names[:index]:
                view.error((*at, key, index), f"{name} is listed twice", "name it once")
    for index, name in enumerate(secrets):
        if name in env:
            view.error((*at, "secrets", index), f"{name} is listed under env too", "keep it under secrets alone")


def no_templates(view: View, command: Command | None, path: Path) -> None:
    """Nothing that an agent wrote is ever parsed by a shell."""
    words = (command.shell, *command.argv) if command else ()
    for word in words:
        if found := _TEMPLATE.search(word):
            hint = f"commands get values as environment variables: write {_variable(found)}"
            view.error(path, f"a template in a command ({found.group().strip()} ...)", hint)
            return


def _variable(found: re.Match[str]) -> str:
    name, rest = found.groups()
    words = [part.upper() for part in re.findall(r"\w+", rest.replace("-", "_"))]
    if name == "inputs" and words:
        return f'"$INPUT_{words[0]}"'
    if name == "artifacts" and len(words) > 1:
        return f'"$ARTIFACT_{words[0]}_{words[1]}"'
    return f'"{_VARIABLES[name]}"' if _VARIABLES[name].startswith("$") else _VARIABLES[name]
