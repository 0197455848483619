"""The command line: parse, call the service, render. Rule: data on stdout, all else on stderr."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress

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
    ended: list[int] = []
    atexit.register(_leave, ended)  # the first one, which Python calls last
    try:
        from interlock.cli.app import call  # lazy: --version imports nothing

        ended.append(call(sys.argv[1:]))
        return ended[0]
    except KeyboardInterrupt:  # during imports, or at the end
        return _INTERRUPTED
    finally:
        gc.freeze()  # the process ends: what it holds need not be looked through for garbage


def _leave(ended: list[int]) -> None:
    """The client of a Temporal server has threads that Python does not know; if one of them still lets go of something
    while Python ends, Python aborts."""
    if ended and "temporalio" in sys.modules:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(ended[0])
