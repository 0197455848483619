"""Names of held-out files: a pipeline says the name, the user's settings or the environment say where they lie."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z][a-z0-9-]{0,47}")


def is_name(text: str) -> bool:
    """Without `_`, so that no two names have the same variable."""
    return _NAME.fullmatch(text) is not None


def variable_of(name: str) -> str:
    """The environment variable that says where they lie, in place of the settings."""
    return f"INTERLOCK_HELD_OUT_{name.upper().replace('-', '_')}"
