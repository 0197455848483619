"""The user's settings: `settings.yaml` or `settings.toml` in Interlock's config folder.

Every mistake in the file is reported at once, each with what would be right.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from interlock.ports import UsageError, machine_trouble
from interlock.settings import sections
from interlock.settings.sections import CiSettings, NotifySettings

SANDBOX_LEVELS = ("none",)
_COUNT_MAX = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """`slots` limits what works at once over all runs of the user, `max_parallel` the effects of one run. `daily_*`
    limit what agents spend from midnight to midnight, over all runs; 0 is no limit."""

    sandbox: str = "none"
    slots: int = 16
    max_parallel: int = 4
    daily_tokens: int = 0
    daily_cost_usd: float = 0.0
    ci: CiSettings = field(default_factory=CiSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    held_out: Mapping[str, str] = field(default_factory=dict)  # names in pipelines, and the folders of their files


_EXPECTED = MappingProxyType(
    {
        "sandbox": f"one of {', '.join(SANDBOX_LEVELS)}",
        "slots": f"an integer from 1 to {_COUNT_MAX}",
        "max_parallel": f"an integer from 1 to {_COUNT_MAX}",
        "daily_tokens": "a positive integer",
        "daily_cost_usd": "a positive number",
        "ci": "a mapping",
        "notify": "a mapping",
        "held_out": "a mapping",
    }
)


def load_settings(config: Path) -> Settings:
    """The settings of the file in the folder `config`; the defaults if there is none. Raises UsageError."""
    found = [path for name in ("settings.yaml", "settings.toml") if (path := config / name).is_file()]
    if not found:
        return Settings()
    if len(found) > 1:
        raise UsageError(f"{found[0]} and {found[1]} both exist: keep one of them")
    return _settings(found[0], _parse(found[0]))


def _parse(path: Path) -> object:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text) if path.suffix == ".toml" else _parse_yaml(path, text)
    except (OSError, ValueError) as error:
        raise machine_trouble(error) or UsageError(f"{path}: cannot be read: {error}") from error


def _parse_yaml(path: Path, text: str) -> object:
    import yaml  # lazy: most users have no file

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UsageError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from error


def _settings(path: Path, found: object) -> Settings:
    if found is None:
        return Settings()
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected names with values, such as `max_parallel: 4`")
    mistakes = [f"{path}: {mistake}" for name, value in found.items() for mistake in _mistakes(name, value)]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    known = sections.SECTIONS
    return Settings(**{name: known[name].read(value) if name in known else value for name, value in found.items()})


def _mistakes(name: object, value: object) -> Iterator[str]:
    if name in sections.SECTIONS:
        yield from sections.SECTIONS[str(name)].mistakes(value)
        return
    if name not in _EXPECTED:
        near = get_close_matches(str(name), _EXPECTED, n=1)
        yield f"{name}: no such setting: " + (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(_EXPECTED)}"
        )
    elif not _fits(str(name), value):
        yield f"{name}: {sections.as_written(value)} is not valid: expected {_EXPECTED[str(name)]}"


def _fits(name: str, value: object) -> bool:
    if name == "sandbox":
        return value in SANDBOX_LEVELS
    if name == "daily_cost_usd":
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    most = float("inf") if name == "daily_tokens" else _COUNT_MAX
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
