"""A program's own session, saved by one attempt for the next one: its file, its name, and its usage so far.

Rule: if a session cannot be read, the next attempt begins a new one. Its file has the program's format, and is written
only below the new attempt's state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from interlock.core.events import Usage
from interlock.process import masked

_VERSION = 1
_BYTES_MAX = 50_000_000
_NAME_MAX = 200


@dataclass(frozen=True, slots=True)
class Session:
    """`file` is its path below the program's state. `used` is the usage so far, as the program reports it."""

    name: str
    file: str
    content: str
    used: Usage = Usage()


def save_session(path: Path, session: Session, secrets: tuple[str, ...]) -> Path:
    """Write it as one file, with the secrets masked."""
    text = json.dumps({"version": _VERSION, **asdict(session)})
    path.write_bytes(masked(text.encode("utf-8", "surrogateescape"), secrets))
    return path


def load_session(path: Path) -> Session | None:
    """None if there is no file, or not one that we wrote."""
    try:
        saved = json.loads(path.read_bytes()[: 2 * _BYTES_MAX])
        used = Usage(**saved["used"])
        session = Session(str(saved["name"]), str(saved["file"]), str(saved["content"]), used)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return session if saved.get("version") == _VERSION and session.name and _is_below(session.file) else None


def find_session(state: Path, glob: str, name: str, used: Usage) -> Session | None:
    """The session of this name, as the program wrote it. `{}` in `glob` stands for the name."""
    if not name or len(name) > _NAME_MAX or not name.replace("-", "").replace("_", "").isalnum():
        return None
    for path in sorted(state.glob(glob.format(name)))[:1]:
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _BYTES_MAX:
            return Session(name, str(path.relative_to(state)), path.read_text("utf-8", "replace"), used)
    return None


def usage_since(used: Usage, before: Usage, cumulative: frozenset[str]) -> Usage:
    """`used` minus `before` in the fields in which the program reports sums of its whole session."""
    now: Mapping[str, object] = asdict(used)
    earlier: Mapping[str, object] = asdict(before)
    changes = {name: _difference(now[name], earlier[name]) for name in cumulative}
    return replace(used, **changes)  # type: ignore[arg-type]


def _difference(now: object, then: object) -> object:
    if not isinstance(now, int | float) or not isinstance(then, int | float):
        return now
    return max(0, now - then)


def _is_below(file: str) -> bool:
    path = Path(file)
    return bool(file) and not path.is_absolute() and ".." not in path.parts
