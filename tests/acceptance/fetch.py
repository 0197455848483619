"""Fetches a source distribution from the package index: `python fetch.py CACHE TARGET NAME VERSION SHA256`.

Rule: what is handed out has the given digest. Kept in CACHE, so the index is asked once on a machine; a program of
its own, because it runs with the user's configuration of pip, which no test has.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_S = 300


def main(cache: Path, target: Path, name: str, version: str, sha256: str) -> int:
    kept = cache / f"{name}-{version}-{sha256}.tar.gz"
    if not _fits(kept, sha256):
        _download(kept, f"{name}=={version}", sha256)
    shutil.copyfile(kept, target)
    return 0


def _fits(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _download(kept: Path, what: str, sha256: str) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{what} --hash=sha256:{sha256}\n", encoding="utf-8")
        words = ["download", "--quiet", "--no-binary", ":all:", "--no-deps", "--require-hashes"]
        argv = [sys.executable, "-m", "pip", *words, "--dest", folder, "--requirement", str(wanted)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        found = [path for path in Path(folder).glob("*.tar.gz") if _fits(path, sha256)]
        if done.returncode or not found:
            raise SystemExit(f"{what} cannot be had from the package index, which this test needs:\n{done.stderr}")
        os.replace(found[0], kept)  # noqa: PTH105 - atomic, whoever else fetches


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
