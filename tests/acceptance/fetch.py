"""Fetches a package as its authors published it: `python fetch.py CACHE TARGET NAME VERSION SHA256 [KIND]`.

KIND is pip (a source distribution; so without it), npm (a tarball), or apt (what a Debian package of a crate holds;
apt alone vouches for it, and VERSION and SHA256 are empty). Rule: what is handed out has the given digest. Kept in
CACHE, so an index is asked once on a machine; a program of its own, because it runs with the user's configuration of
these programs, which no test has.
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


def main(cache: Path, target: Path, what: tuple[str, str, str], kind: str = "pip") -> int:
    name, version, sha256 = what
    kept = cache / f"{name.replace('/', '+')}-{version}-{sha256}.tar.gz"
    if not _fits(kept, sha256):
        kept.parent.mkdir(parents=True, exist_ok=True)
        {"pip": _download, "npm": _pack, "apt": _unpack}[kind](kept, name, version, sha256)
    shutil.copyfile(kept, target)
    return 0


def _fits(path: Path, sha256: str) -> bool:
    return path.is_file() and (not sha256 or hashlib.sha256(path.read_bytes()).hexdigest() == sha256)


def _download(kept: Path, name: str, version: str, sha256: str) -> None:
    what = f"{name}=={version}"
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{what} --hash=sha256:{sha256}\n", encoding="utf-8")
        words = ["download", "--quiet", "--no-binary", name, "--no-deps", "--require-hashes"]
        argv = [sys.executable, "-m", "pip", *words, "--dest", folder, "--requirement", str(wanted)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        found = [path for path in Path(folder).glob("*.tar.gz") if _fits(path, sha256)]
        if done.returncode or not found:
            raise SystemExit(f"{what} cannot be had from the package index, which this test needs:\n{done.stderr}")
        os.replace(found[0], kept)  # noqa: PTH105 - atomic, whoever else fetches


def _pack(kept: Path, name: str, version: str, sha256: str) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        _run(["npm", "pack", "--silent", "--pack-destination", folder, f"{name}@{version}"], folder)
        found = [path for path in Path(folder).glob("*.tgz") if _fits(path, sha256)]
        if not found:
            raise SystemExit(f"{name}@{version} is not what it was: its digest differs")
        os.replace(found[0], kept)  # noqa: PTH105


def _unpack(kept: Path, name: str, _version: str, _sha256: str) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        _run(["apt-get", "download", "-qq", name], folder)
        _run(["dpkg-deb", "-x", *(path.name for path in Path(folder).glob("*.deb")), "out"], folder)
        (crate,) = Path(folder, "out/usr/share/cargo/registry").iterdir()
        made = shutil.make_archive(str(Path(folder, "crate")), "gztar", crate.parent, crate.name)
        os.replace(made, kept)  # noqa: PTH105


def _run(argv: list[str], folder: str) -> None:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise SystemExit(f"`{' '.join(argv)}` failed, which this test needs:\n{done.stderr}")


if __name__ == "__main__":
    _cache, _target, _name, _version, _sha256, *_kind = sys.argv[1:]
    sys.exit(main(Path(_cache), Path(_target), (_name, _version, _sha256), *_kind))
