"""The home of setup in a room: an own one, with the user's settings of package indexes.

Rule: a settings file that seems to hold a credential is not copied: whatever an install script reads, it may send away.
A setup that needs one names a variable under `env`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from interlock.conventions.secret_forms import is_credential
from interlock.ports import Checkout
from interlock.sandbox import is_shown

_BYTES_MAX = 100_000
_FILES = (
    ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".npmrc", ".yarnrc", ".yarnrc.yml", ".bunfig.toml",
    ".cargo/config.toml", ".cargo/config", ".config/go/env", ".m2/settings.xml", ".gradle/gradle.properties", ".gemrc",
)  # fmt: skip
_BETWEEN = re.compile(r"[\s=:<>\"'/.]+")
_WITH_PASSWORD = re.compile(r"://[^\s/@]+:[^\s/@]+@")


def environment_in_room(env: Mapping[str, str], checkout: Checkout) -> dict[str, str]:
    """`env` with the home of `checkout`, and without the variables that name folders which no room shows."""
    home, path = env.get("HOME", ""), env.get("PATH", os.defpath)
    shown = {
        name: value
        for name, value in env.items()
        if not (home and value.startswith(f"{home}/") and not is_shown(Path(value), path)) or name in ("PATH", "TMPDIR")
    }
    return {**shown, "HOME": checkout.seen(checkout.home)}


def put_settings(home: str, into: Path) -> None:
    """Copy the user's settings of package managers."""
    for name in _FILES if home else ():
        with suppress(OSError, UnicodeError):
            source = Path(home, name)
            text = source.read_text(encoding="utf-8") if source.stat().st_size <= _BYTES_MAX else ""
            if text and not holds_credential(text):
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                (into / name).write_text(text, encoding="utf-8")


def holds_credential(text: str) -> bool:
    """Whether any word of it is a credential, or the name of one."""
    words = _BETWEEN.split(text)
    return _WITH_PASSWORD.search(text) is not None or any(is_credential(word, word) for word in words)
