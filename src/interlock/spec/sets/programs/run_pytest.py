"""Run pytest as `python -m pytest` would, but import it first: a pytest.py in the checkout must not pose as it."""

import os
import sys
from pathlib import Path


def main() -> int:
    try:
        import pytest
    except ImportError:
        sys.stderr.write(
            f"python.test: pytest is not installed for {sys.executable}: "
            "install it, or let the pipeline's setup make a .venv that has it\n"
        )
        return 127
    extra = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [str(Path.cwd()), *(path for path in extra if path)]
    return int(pytest.main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
