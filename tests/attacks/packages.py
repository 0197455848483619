"""What tests need beside: Django, jest, vitest and mocha from the package index, once on a machine, in a folder
beside the tests' own; and where Rust is.

Rule: pinned. Where they cannot be had, the tests that need them are skipped, and say why.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

PINNED = {"jest": "30.2.0", "jest-junit": "16.0.0", "mocha": "11.7.4", "vitest": "3.2.4"}
DJANGO = "Django==5.2.8"
LIMIT_S = 300
_OF_THE_USER = dict(os.environ)  # when tests are collected: npm wants the user's configuration and cache


@cache
def toolchain() -> Path:
    """The folder of Rust's own programs, which need nothing of a home as rustup's do; `.` where there are none."""
    try:
        done = subprocess.run(
            ["rustc", "--print=sysroot"], env=_OF_THE_USER, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return Path()
    folder = Path(done.stdout.strip()) / "bin"
    return folder if os.access(folder / "cargo", os.X_OK) else Path()


def put_toolchain(folder: Path) -> Path:
    """The folder with programs that start those of Rust: nothing of ours has to read them, who lie in a user's home."""
    folder.mkdir()
    for name in ("cargo", "rustc", "rustdoc", "cargo-clippy", "clippy-driver"):
        (folder / name).write_text(f'#!/bin/sh\nexec "{toolchain() / name}" "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def installed() -> tuple[Path | None, str]:
    """The folder node_modules; or None, and why there is none."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return None, "node and npm are not installed"
    folder, why = _once(json.dumps(PINNED), _npm)
    return (folder / "node_modules", "") if folder else (None, f"npm could not install jest, vitest and mocha: {why}")


def django() -> tuple[Path | None, str]:
    """The programs of a Python environment with Django; or None, and why there is none."""
    folder, why = _once(f"{DJANGO} {sys.version}", _pip)
    return (folder / "venv/bin", "") if folder else (None, f"{DJANGO} cannot be installed: {why}")


def _once(what: str, install: Callable[[Path], str]) -> tuple[Path | None, str]:
    """A folder in which `install` was called once on this machine; or None, and what it said was wrong."""
    digest = hashlib.sha256(what.encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"interlock-attacks-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        return None, f"{folder} is somebody else's"
    done, why = folder / "done", folder / "why"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() and not why.exists():
            said = install(folder)
            (why if said else done).write_text(said)
    return (folder, "") if done.exists() else (None, f"{why.read_text()} (remove {folder} to try again)")


def _npm(folder: Path) -> str:
    """Empty where it went well, else the end of what was said."""
    (folder / "package.json").write_text(json.dumps({"name": "runners", "private": True, "dependencies": PINNED}))
    return _said(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], folder)


def _pip(folder: Path) -> str:
    made = _said([sys.executable, "-m", "venv", "venv"], folder)
    return made or _said(["venv/bin/python", "-m", "pip", "install", "--quiet", DJANGO], folder)


def _said(words: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(words, cwd=folder, env=_OF_THE_USER, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no end after {LIMIT_S} s"
    said = done.stderr.decode(errors="replace").strip()[-300:] or f"{words[0]} failed"
    return "" if done.returncode == 0 else said
