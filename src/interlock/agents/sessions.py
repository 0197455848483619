"""A program's own session, kept from one attempt for the next: its file, its name, and what it had used by then.

Rule: what cannot be read is no session, and the next attempt begins a fresh one. Its file is the program's own, and is
put nowhere but below the new attempt's state.
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
    """`file` is its name below the program's state, `used` what the program told by then, as it tells it."""

    name: str
    file: str
    content: str
    used: Usage = Usage()


def keep(path: Path, session: Session, secrets: tuple[str, ...]) -> Path:
    """Write it as one file, without the secrets."""
    text = json.dumps({"version": _VERSION, **asdict(session)})
    path.write_bytes(masked(text.encode("utf-8", "surrogateescape"), secrets))
    return path


def kept(path: Path) -> Session | None:
    """None where there is none, or none that we wrote."""
    try:
        told = json.loads(path.read_bytes()[: 2 * _BYTES_MAX])
        used = Usage(**told["used"])
        session = Session(str(told["name"]), str(told["file"]), str(told["content"]), used)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return session if told.get("version") == _VERSION and session.name and _is_below(session.file) else None


def found(state: Path, glob: str, name: str, used: Usage) -> Session | None:
    """The session of this name as the program left it. `glob` holds `{}` for the name."""
    if not name or len(name) > _NAME_MAX or not name.replace("-", "").replace("_", "").isalnum():
        return None
    for path in sorted(state.glob(glob.format(name)))[:1]:
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _BYTES_MAX:
            return Session(name, str(path.relative_to(state)), path.read_text("utf-8", "replace"), used)
    return None


def since(used: Usage, before: Usage, cumulative: frozenset[str]) -> Usage:
    """What was used since `before`, where a program tells the sums of its whole session."""
    told: Mapping[str, object] = asdict(used)
    earlier: Mapping[str, object] = asdict(before)
    changes = {name: _less(told[name], earlier[name]) for name in cumulative}
    return replace(used, **changes)  # type: ignore[arg-type]


def _less(now: object, then: object) -> object:
    if not isinstance(now, int | float) or not isinstance(then, int | float):
        return now
    return max(0, now - then)


def _is_below(file: str) -> bool:
    path = Path(file)
    return bool(file) and not path.is_absolute() and ".." not in path.parts
