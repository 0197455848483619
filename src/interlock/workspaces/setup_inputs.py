"""The inputs of setup: its key, its environment, and the files that it runs on.

Rule: the key covers all inputs of an installation, including manifests such as pyproject.toml, whether `key` names them
or not. If a setup names no `key` files, or installs the project itself as a copy, the key covers every file of the
tree; otherwise sources of one attempt could reach another one.

Rule: setup runs code that a candidate chose (build backends, install scripts). It sees what gates see, the settings of
package managers, and the variables that `env` names. A variable that looks like a credential, by its name or its value,
is passed on only if the setup names it.

Rule: no product code of a candidate runs during a setup with a `key`, since the output would also judge later attempts.
Such a setup runs on the candidate's files with the code of the base. The files that `key` names are the candidate's,
since they decide which environment is installed; so are files that cannot run, such as a README.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from interlock.conventions.commands import installs_copy
from interlock.conventions.judge_files import is_code, is_manifest, is_source
from interlock.conventions.secret_forms import is_credential
from interlock.core.pipeline import CommandLine, Setup
from interlock.process import scrubbed
from interlock.text.globs import matches_any
from interlock.workspaces import trees
from interlock.workspaces.objects import Objects
from interlock.workspaces.trees import Entry, Listing


def setup_key(setups: Sequence[Setup], listing: Listing, environ: Mapping[str, str]) -> str:
    """A digest of all inputs of `setups`: commands, files, environment, programs, system."""
    inputs = [
        [
            *(setup.command.words, setup.paths, setup.key, _files(setup, listing)),
            *(key_variables(environ, setup), _programs(setup.command, environ)),
            *([] if setup.hosts is None else [setup.hosts]),
        ]
        for setup in setups
    ]
    system = [platform.platform(), platform.machine(), sys.version]
    return hashlib.sha256(json.dumps([inputs, system]).encode("utf-8", "backslashreplace")).hexdigest()


def folder_digest(made: Path) -> str:
    """A digest of everything below `made`: relative paths, modes, contents, and targets of links. Raises OSError."""
    whole = hashlib.blake2b(digest_size=32)
    for path, status in _below(made):
        name = os.fsencode(path.relative_to(made))
        whole.update(b"%d:%b %o " % (len(name), name, status.st_mode))
        if stat.S_ISLNK(status.st_mode):
            whole.update(os.fsencode(path.readlink()) + b"\0")
        elif stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "blake2b").digest())
    return whole.hexdigest()


def _below(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All files and links, sorted. Links are not followed."""
    waiting = [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)
            else:
                yield Path(entry.path), status


def _files(setup: Setup, listing: Listing) -> list[tuple[str, str]]:
    if not setup.key or installs_copy(setup.command):
        top = listing.get(b"", {}).items()  # a folder's id covers its contents
        return sorted((_text(name), f"{entry.mode} {entry.oid}") for name, entry in top)
    paths = ((path, os.fsdecode(path), entry) for path, entry in trees.leaves(listing))
    found = ((path, entry) for path, name, entry in paths if is_manifest(name) or matches_any(setup.key, name))
    return sorted((_text(path), f"{entry.mode} {entry.oid}") for path, entry in found)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _programs(command: CommandLine, environ: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """The programs that a command names, with path, size and time, which differ between versions."""
    try:
        words = command.argv or tuple(shlex.split(command.shell, comments=True))
    except ValueError:
        words = tuple(command.shell.split())
    found = []
    for word in dict.fromkeys(words):
        path = shutil.which(word, path=environ.get("PATH")) if word and "=" not in word else None
        if path:
            real = Path(path).resolve()
            status = real.stat()
            found.append((str(real), status.st_size, status.st_mtime_ns))
    return found


# --- environment -----------------------------------------------------------------------------


# Locations of programs, certificates and proxies, and settings of package managers and compilers.
_NAMES = frozenset(
    {"HOME", "USER", "LOGNAME", "SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
     "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "JAVA_HOME",
     "M2_HOME", "NVM_DIR", "VOLTA_HOME", "SDKROOT", "DEVELOPER_DIR", "MACOSX_DEPLOYMENT_TARGET", "CC", "CXX", "CFLAGS",
     "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "SOURCE_DATE_EPOCH"}
)  # fmt: skip
_PREFIXES = (
    "PIP_", "UV_", "POETRY_", "PDM_", "PIPENV_", "HATCH_", "PYENV_", "SETUPTOOLS_SCM_PRETEND_", "NPM_CONFIG_", "YARN_",
    "PNPM_", "BUN_", "COREPACK_", "CARGO_", "RUSTUP_", "RUSTFLAGS", "MAVEN_", "GRADLE_", "MISE_", "ASDF_",
)  # fmt: skip
_GO = re.compile(r"GO[A-Z0-9]+")  # GOPROXY, GOFLAGS, GOMODCACHE...
_PROXY = re.compile(r"(HTTPS?|FTP|ALL|NO)_PROXY")
_NOT_IN_KEY = frozenset({"HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "LANG", "LANGUAGE", "TZ"})


def setup_environment(environ: Mapping[str, str], setup: Setup, tmp: Path) -> dict[str, str]:
    """The environment of the commands of `setup`. HOME is the user's, for caches and settings of package indexes."""
    known = {name: value for name, value in environ.items() if _is_known(name) and not is_credential(name, value)}
    return {**known, **scrubbed(environ, setup.env), "TMPDIR": str(tmp)}


def withheld_names(environ: Mapping[str, str], setup: Setup) -> tuple[str, ...]:
    """Names of package settings that are not passed on because they look like credentials."""
    found = (name for name, value in environ.items() if _is_known(name) and is_credential(name, value))
    return tuple(sorted(name for name in found if name not in setup.env))


def setup_credentials(environ: Mapping[str, str], setup: Setup) -> tuple[str, ...]:
    """Credentials that the setup names in `env`. Nothing that is stored may contain their values."""
    return tuple(environ[name] for name in setup.env if name in environ and is_credential(name, environ[name]))


def key_variables(environ: Mapping[str, str], setup: Setup) -> list[tuple[str, str]]:
    """The variables that decide what is installed."""
    seen = setup_environment(environ, setup, Path())
    return sorted((name, value) for name, value in seen.items() if name not in _NOT_IN_KEY and name[:3] != "LC_")


def _is_known(name: str) -> bool:
    upper = name.upper()  # npm and proxies are configured in small letters too
    if name.startswith("npm_config_") or _PROXY.fullmatch(upper):
        return True
    return name in _NAMES or name.startswith(_PREFIXES) or _GO.fullmatch(name) is not None


# --- code of the base ------------------------------------------------------------------------


_READ_MAX = 1_000_000  # bytes; larger files are not searched for a line that names an interpreter


def setup_trees(objects: Objects, setups: Sequence[Setup], tree: str, base: str) -> tuple[str, ...]:
    """The trees to run the last of `setups` on; the first one that works is used. In the first tree, sources that the
    base does not have are empty files, since a manifest may name them. In the second tree they do not exist."""
    if not all(setup.key and not installs_copy(setup.command) for setup in setups):
        return (tree,)
    keys = [glob for setup in setups for glob in setup.key]
    listing = objects.listing(tree)
    changed = trees.differences(objects.listing(base), listing)
    edits = {
        path: was
        for path, (was, now) in changed.items()
        if path not in listing and _is_code(objects, path, was, now, keys)  # a folder stays one
    }
    if not edits:
        return (tree,)
    with objects.batch():
        empty = Entry(trees.FILE, objects.write("blob", b""))
        stubs = {path: empty for path, was in edits.items() if was is None and is_source(os.fsdecode(path))}
        made = (objects.write_edited(tree, {**edits, **stubs}), objects.write_edited(tree, edits))
    return tuple(dict.fromkeys(made))


def _is_code(objects: Objects, path: bytes, was: Entry | None, now: Entry | None, keys: Sequence[str]) -> bool:
    name = os.fsdecode(path)
    if matches_any(keys, name):
        return False
    modes = {entry.mode for entry in (was, now) if entry}
    if is_code(name) or modes & {trees.PROGRAM, trees.LINK, trees.SUBMODULE}:
        return True
    return now is not None and "." not in name.rpartition("/")[2] and _names_interpreter(objects, now)


def _names_interpreter(objects: Objects, entry: Entry) -> bool:
    return objects.sizes([entry.oid])[entry.oid] <= _READ_MAX and objects.read(entry.oid).startswith(b"#!")
