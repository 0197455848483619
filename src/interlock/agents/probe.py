"""What can be told of an agent program without spending: where it is, its version, and whether it could log in.

Rule: nothing is called but `--version`, and no login is read: that its file is there is all that is looked at.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from interlock.ports import InterlockError
from interlock.process import capture, scrubbed

_MODELS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
# Variables that hold a key, and where a login lies: the variable of its folder, the folder, the file.
_KNOWN: Mapping[str, tuple[tuple[str, ...], tuple[str, str, str] | None]] = {
    "claude": (
        ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"),
        ("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"),
    ),
    "codex": (("CODEX_API_KEY", "OPENAI_API_KEY"), ("CODEX_HOME", ".codex", "auth.json")),
    "aider": (_MODELS, None),
    "mini": (_MODELS, None),
    "gemini": (("GEMINI_API_KEY",), None),
    "opencode": (_MODELS, ("", ".local/share/opencode", "auth.json")),
    "goose": (_MODELS, None),
}
_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Probed:
    """`path` is empty where the program is not there, `version` where it does not say, `access` where nothing is."""

    name: str
    path: str = ""
    version: str = ""
    access: str = ""
    advice: str = ""


def probe(environ: Mapping[str, str]) -> tuple[Probed, ...]:
    """Every program that has an adapter of its own."""
    return tuple(_probed(name, environ) for name in _KNOWN)


def logged_in(environ: Mapping[str, str]) -> frozenset[str]:
    """The programs whose login lies where they keep it."""
    return frozenset(name for name in _KNOWN if _login(name, environ) is not None)


def keys_of(name: str) -> tuple[str, ...]:
    """The variables that may hold a key of the program. Raises KeyError for one without an adapter of its own."""
    return _KNOWN[name][0]


def _login(name: str, environ: Mapping[str, str]) -> Path | None:
    where = _KNOWN[name][1]
    if where is None:
        return None
    variable, folder, file = where
    path = Path(environ.get(variable) or Path(environ.get("HOME", "/")) / folder) / file
    return path if path.is_file() else None


def _probed(name: str, environ: Mapping[str, str]) -> Probed:
    path = shutil.which(name, path=environ.get("PATH"))
    if path is None:
        return Probed(name, advice=f"put {name} on the PATH to use it")
    access, advice = _access(name, environ)
    return Probed(name, path, _version(path, environ), access, advice)


def _version(path: str, environ: Mapping[str, str]) -> str:
    with TemporaryDirectory(prefix="interlock-") as home:
        env = {**scrubbed(environ), "HOME": home, "MSWEA_SILENT_STARTUP": "1", "MSWEA_CONFIGURED": "true"}
        try:
            said = capture([path, "--version"], cwd=Path(home), env=env, timeout_s=_TIMEOUT_S).out
        except InterlockError:
            return ""
    found = re.search(rb"\d+\.\d+[\w.+-]*", said)
    return found[0].decode() if found else ""


def _access(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    keys, login = _KNOWN[name]
    for key in keys:
        if environ.get(key):
            return f"{key} is set", f"name it under the agent's `secrets`: secrets: [{key}]"
    if (path := _login(name, environ)) is not None:
        return f"a login in {path}", "lend it with `login: true`"
    return "", f"set {' or '.join(keys)}" + (f", or log in with {name}" if login else "")
