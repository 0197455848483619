"""The program of the scripted agent: it makes the edits of a plan, or misbehaves as the plan says.

Rule: it is run by its path, so it imports only the standard library. `scripted.py PLAN`, where PLAN is a JSON file with
behaviour, edits, usage, say, seed and pace_s.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_CRASHED = 70


def main(plan_path: str) -> int:
    plan: dict[str, Any] = json.loads(Path(plan_path).read_text(encoding="utf-8"))
    behaviour, edits = plan["behaviour"], plan["edits"]
    say = _Voice(float(plan["pace_s"]))
    say(f"scripted agent, seed {plan['seed']}, attempt {os.environ.get('INTERLOCK_ATTEMPT', '?')}: {behaviour}")
    say(f"read the brief ({len(sys.stdin.buffer.read())} bytes)")
    if behaviour == "hang":
        say("thinking")
        _hang()
    if behaviour == "crash":
        return _crash(edits, say)
    for edit in [] if behaviour == "lie" else edits:
        _apply(edit, say)
    _write_usage(plan["usage"])
    say(plan["say"])
    return 0


class _Voice:
    """Prints one line at a time, with a pause after each."""

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s

    def __call__(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        time.sleep(self._pace_s)


def _hang() -> None:
    while True:
        time.sleep(3600)


def _crash(edits: list[dict[str, str]], say: _Voice) -> int:
    """Makes half of the edits, cuts the last file in its middle, and exits."""
    touched: list[Path] = []
    for edit in edits[: max(1, len(edits) // 2)]:
        touched = _apply(edit, say) or touched
    for path in touched[-1:]:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    sys.stderr.write("connection reset by peer\n")
    return _CRASHED


def _apply(edit: dict[str, str], say: _Voice) -> list[Path]:
    say(f"{edit['do']} {edit['path'] or 'the change'}")
    return _EDITS[edit["do"]](edit)


def _write(edit: dict[str, str]) -> list[Path]:
    path = _path(edit)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(edit["text"], encoding="utf-8", newline="")
    return [path]


def _replace(edit: dict[str, str]) -> list[Path]:
    path = _path(edit)
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    if edit["old"] not in text:
        raise SystemExit(f"{path}: the script replaces a text that is not in the file: {edit['old']!r}")
    path.write_bytes(text.replace(edit["old"], edit["new"], 1).encode("utf-8", "surrogateescape"))
    return [path]


def _patch(edit: dict[str, str]) -> list[Path]:
    with tempfile.NamedTemporaryFile("w", suffix=".patch", encoding="utf-8", newline="") as file:
        file.write(edit["text"])
        file.flush()
        code = os.spawnvp(os.P_WAIT, "git", ["git", "apply", "--whitespace=nowarn", file.name])
    if code != 0:
        raise SystemExit(f"the script's patch does not apply (git apply: exit code {code})")
    names = (line[6:].strip() for line in edit["text"].splitlines() if line.startswith("+++ b/"))
    return [Path(name) for name in names]


def _copy(edit: dict[str, str]) -> list[Path]:
    source, target = Path(edit["source"]), _path(edit)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copyfile(source, target)
        return [target]
    shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return [target / path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]


def _delete(edit: dict[str, str]) -> list[Path]:
    path = _path(edit)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return []


_EDITS = {"write": _write, "replace": _replace, "patch": _patch, "copy": _copy, "delete": _delete}


def _path(edit: dict[str, str]) -> Path:
    name = edit["path"]
    if name.startswith("$ARTIFACTS/"):
        return Path(os.environ["ARTIFACTS"]) / name.removeprefix("$ARTIFACTS/")
    return Path(name)


def _write_usage(usage: dict[str, float]) -> None:
    target = os.environ.get("INTERLOCK_USAGE")
    if target:
        Path(target).write_text(json.dumps(usage), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
