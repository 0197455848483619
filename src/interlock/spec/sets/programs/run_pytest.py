"""Run pytest as `python -m pytest` would, but take pytest itself from outside of the checkout.

A pytest.py in the checkout must not pose as it. All else comes from the checkout first, even what pytest
needs for itself: the project may be just that.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

OUTSIDE = list(sys.path)


class FromOutside:
    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> "ModuleSpec | None":
        return PathFinder.find_spec(name, OUTSIDE) if name in ("pytest", "_pytest") else None


def main() -> int:
    if FromOutside.find_spec("pytest") is None:
        sys.stderr.write(
            f"python.test: pytest is not installed for {sys.executable}: "
            "install it, or let the pipeline's setup make a .venv that has it\n"
        )
        return 127
    extra = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.meta_path.insert(0, FromOutside)
    sys.path[:0] = [str(Path.cwd()), *(path for path in extra if path)]
    import pytest

    return int(pytest.main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
