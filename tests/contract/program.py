"""The command line as a process: started anew, or forked from one that has imported it already.

A server of `multiprocessing` imports all of Interlock once; a fork of it has its own folder, environment, input and
outputs. What it starts, signals, exit codes and locks are as of any other process, and it imports nothing first.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import interlock
from interlock.cli import main

PROGRAM = (sys.executable, "-m", "interlock")
_ALONE = ("interlock.__main__", "interlock.agents.bundled.")  # a program, and what runs in processes of its own
_IMPORTED = [
    module.name
    for module in pkgutil.walk_packages(interlock.__path__, "interlock.")
    if not module.name.startswith(_ALONE)
]
_FOR_PYTHON = ("PYTHON", "LC_", "LANG")  # names of an environment that Python reads as it starts
_STREAMS = (("in", os.O_RDONLY), ("out", os.O_WRONLY | os.O_CREAT), ("err", os.O_WRONLY | os.O_CREAT))

Ended = tuple[int, bytes, bytes]  # exit code, negative where a signal ended it; stdout; stderr


def started(words: tuple[str, ...], cwd: Path, environ: Mapping[str, str], stdin: bytes, limit_s: float) -> Ended:
    """Raises subprocess.TimeoutExpired after `limit_s`."""
    done = subprocess.run(
        [*PROGRAM, *words], cwd=cwd, env=environ, input=stdin, capture_output=True, timeout=limit_s, check=False
    )
    return done.returncode, done.stdout, done.stderr


def _mounts() -> str:
    """The namespace in which this process has its mounts."""
    try:
        return os.readlink("/proc/self/ns/mnt")  # noqa: PTH115 - it leads nowhere
    except OSError:
        return ""


_MOUNTS = _mounts()


def is_apart() -> bool:
    """Whether this process has left the mounts of the fork server: what is mounted from then on is not seen there."""
    return _mounts() != _MOUNTS


def needs_a_start(environ: Mapping[str, str | None]) -> bool:
    """Whether `environ` has more than a path for Python as it starts, so that a fork would be another program."""
    folders = (environ.get("PYTHONPATH") or "").split(os.pathsep)
    named = [name for name in environ if name.startswith(_FOR_PYTHON) and name != "PYTHONPATH"]
    return bool(named) or any(Path(folder, "sitecustomize.py").exists() for folder in folders if folder)


def forked(words: tuple[str, ...], cwd: Path, environ: Mapping[str, str], stdin: bytes, limit_s: float) -> Ended:
    """Raises TimeoutError after `limit_s`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", __name__, *_IMPORTED])  # a fork imports who runs the tests, too
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "in").write_bytes(stdin)
        process = context.Process(target=_main, args=(words, str(cwd), dict(environ), folder))
        process.start()
        process.join(limit_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{words} did not end within {limit_s} s")
        return process.exitcode, (place / "out").read_bytes(), (place / "err").read_bytes()


def _main(words: tuple[str, ...], cwd: str, environ: dict[str, str], folder: str) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd)
    for number, (name, flags) in enumerate(_STREAMS):
        opened = os.open(Path(folder) / name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)
    sys.argv = ["interlock", *words]
    sys.path[:0] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.exit(main())
