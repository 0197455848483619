"""The agent of these tests: applies what is written down for its stage, and says that all is well.

Usage: `python -I agent.py CHANGES`. CHANGES (a file, or - for standard input) is JSON: stage -> path -> change. A change is text, null (delete), or
a list: ["link", TARGET], ["mode", OCTAL], ["move", NEW PATH], ["folder"], ["hex", CONTENT], ["program", TEXT]. Paths that begin with `$`
are below the folder that this variable names.
"""

import json
import os
import shutil
import sys
from pathlib import Path


def main(changes: str) -> None:
    stage = os.environ["INTERLOCK_ATTEMPT"].partition("/")[0]
    text = sys.stdin.read() if changes == "-" else Path(changes).read_text()
    for name, change in json.loads(text).get(stage, {}).items():
        apply(Path(os.path.expandvars(name)), change)
    print("All done, all tests pass.")


def apply(path: Path, change: object) -> None:
    match change:
        case ["mode", str(octal)]:
            path.chmod(int(octal, 8))
        case ["move", str(target)]:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        case None:
            remove(path)
        case _:
            remove(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            create(path, change)


def create(path: Path, change: object) -> None:
    match change:
        case ["link", str(target)]:
            path.symlink_to(target)
        case ["folder"]:
            path.mkdir()
        case ["hex", str(digits)]:
            path.write_bytes(bytes.fromhex(digits))
        case ["program", str(text)]:
            path.write_text(text)
            path.chmod(0o755)
        case str(text):
            path.write_text(text)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.is_symlink() or path.exists():
        path.unlink()


if __name__ == "__main__":
    main(sys.argv[1])
