"""The command line: parse, call the service, render. Rule: data on stdout, all else on stderr."""

from __future__ import annotations

import gc
import sys

from interlock import __version__

_WINDOWS = (
    "error: Interlock runs on Linux and macOS; on Windows use it inside WSL 2: "
    "https://learn.microsoft.com/windows/wsl/install"
)
_COLLECT_AFTER = 100_000  # new objects; by default, collection during imports takes a tenth of the start-up time
_INTERRUPTED = 130  # as in exits.py, which may not be imported yet


def main() -> int:
    """Run the command line of `sys.argv` and return its exit code (see exits.py)."""
    if sys.argv[1:] in (["--version"], ["-v"], ["-V"]):
        print(f"interlock {__version__}")
        return 0
    if sys.platform == "win32":
        print(_WINDOWS, file=sys.stderr)
        return 2
    gc.set_threshold(_COLLECT_AFTER)
    try:
        from interlock.cli.app import call  # lazy: --version imports nothing

        return call(sys.argv[1:])
    except KeyboardInterrupt:  # during imports, or at the end
        return _INTERRUPTED
    finally:
        gc.freeze()  # the process ends: what it holds need not be looked through for garbage
