"""The user's settings: `settings.yaml` or `settings.toml` in Interlock's config folder.

Every mistake in the file is reported at once, with the path of its key and what would be right. A value is built only
if it has no mistake.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from interlock.ports import UsageError, machine_trouble
from interlock.text.names import is_name

SANDBOX_LEVELS = ("full", "fs", "none")
ENGINES = ("local", "temporal")
NOTIFY_EVENTS = ("waiting", "accepted", "failed")
_COUNT_MAX = 256


@dataclass(frozen=True, slots=True)
class CiSettings:
    """The API that `ci` gates ask, the environment variable with the token, the poll interval and the grace period."""

    endpoint: str = "https://api.github.com"
    token: str = "GITHUB_TOKEN"
    poll_s: float = 15
    grace_s: float = 120


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Who is notified when a run waits for a person or has ended: an address, a program, both or none. `secret` names
    the environment variable with the key of the signature."""

    webhook: str = ""
    secret: str = ""
    command: tuple[str, ...] = ()
    events: tuple[str, ...] = NOTIFY_EVENTS
    timeout_s: float = 10
    attempts: int = 5


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """PEM files: what the server's certificate is signed by (those of the system if it is empty), and the certificate
    and key that this machine shows. `server_name` is the name in the server's certificate, if it is not the address."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class TemporalSettings:
    """The Temporal server, what its namespace and task queues are called, and the folder or bucket of blobs that all
    machines share: without it there are no runs on many machines. `api_key` names an environment variable; `codec_key`
    is the file of the key that encrypts what the server is given."""

    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    queue: str = "interlock"
    blobs: str = ""
    codec_key: str = ""

    blobs_endpoint: str = ""
    blobs_region: str = ""
    tls: TlsSettings | None = None
    api_key: str = ""
    keep_days: int = 7  # what a worker has not used for so long, it removes

    @property
    def is_here(self) -> bool:
        """Whether all workers are on this machine: nothing is shared with another one."""
        return not self.blobs and is_local(self.address)


def is_local(address: str) -> bool:
    """Whether an address, with its port, is one of this machine."""
    return _HERE.fullmatch(address) is not None


@dataclass(frozen=True, slots=True)
class Settings:
    """`slots` limits what works at once over all runs of the user, `max_parallel` the effects of one run. `daily_*`
    limit what agents spend from midnight to midnight, over all runs; 0 is no limit."""

    sandbox: str = ""  # the level of new runs; empty: the best one there is, which must hold
    slots: int = 16
    max_parallel: int = 4
    daily_tokens: int = 0
    daily_cost_usd: float = 0.0
    ci: CiSettings = field(default_factory=CiSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    held_out: Mapping[str, str] = field(default_factory=dict)  # names in pipelines, and the folders of their files
    temporal: TemporalSettings = field(default_factory=TemporalSettings)
    engine: str = "local"  # where new runs are driven


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
        "temporal": "a mapping",
        "engine": f"one of {', '.join(ENGINES)}",
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
    known = SECTIONS
    return Settings(**{name: known[name].read(value) if name in known else value for name, value in found.items()})


def _mistakes(name: object, value: object) -> Iterator[str]:
    if name in SECTIONS:
        yield from SECTIONS[str(name)].mistakes(value)
        return
    if name not in _EXPECTED:
        near = get_close_matches(str(name), _EXPECTED, n=1)
        yield f"{name}: no such setting: " + (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(_EXPECTED)}"
        )
    elif not _fits(str(name), value):
        yield f"{name}: {as_written(value)} is not valid: expected {_EXPECTED[str(name)]}"


def _fits(name: str, value: object) -> bool:
    if name == "sandbox":
        return value in SANDBOX_LEVELS
    if name == "engine":
        return value in ENGINES
    if name == "daily_cost_usd":
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    most = float("inf") if name == "daily_tokens" else _COUNT_MAX
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


# --- sections -----------------------------------------------------------------------------------


_PLACE = re.compile(r"[A-Za-z0-9.\[\]:_-]+:\d{1,5}")
_HERE = re.compile(r"(127(\.\d{1,3}){1,3}|localhost|\[::1\]):\d{1,5}")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?")
_HOST = re.compile(r"[A-Za-z0-9.-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOCAL = ("localhost", "127.0.0.1", "::1")
_ATTEMPTS_MAX = 20
_DAYS_MIN, _DAYS_MAX = 3, 3650  # an attempt on a worker lasts two days at most


@dataclass(frozen=True, slots=True)
class Section:
    mistakes: Callable[[object], Iterator[str]]
    read: Callable[[Any], Any]


def is_address(value: object) -> bool:
    """https anywhere, http only on this machine: requests carry a token or a signature."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL))


def is_variable(value: object) -> bool:
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None


def is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 86_400


def is_webhook(value: object) -> bool:
    """An address without user and password, and without characters that no request can hold."""
    return (
        is_address(value)
        and isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and not (" " in value or "@" in urlsplit(value).netloc)
    )


def is_argv(value: object) -> bool:
    words = value if isinstance(value, list) else [None]
    return bool(words) and all(isinstance(word, str) and "\0" not in word for word in words) and bool(words[0])


def is_events(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(name in NOTIFY_EVENTS for name in value)


def is_days(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _DAYS_MIN <= value <= _DAYS_MAX


def is_attempts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _ATTEMPTS_MAX


def is_path(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value and PurePath(value).is_absolute()


def is_bucket(value: object) -> bool:
    return isinstance(value, str) and _BUCKET.fullmatch(value) is not None


ADDRESS = "an address that begins with https:// (or http:// on this machine)"
VARIABLE = "the name of an environment variable"
PATH = "an absolute path"
SECONDS = "a number of seconds, at most 86400"
Known = Mapping[str, tuple[Callable[[object], bool], str]]

_CI: Known = MappingProxyType(
    {
        "endpoint": (is_address, ADDRESS),
        "token": (is_variable, VARIABLE),
        "poll_s": (is_seconds, SECONDS),
        "grace_s": (is_seconds, SECONDS),
    }
)

_NOTIFY: Known = MappingProxyType(
    {
        "webhook": (is_webhook, f"{ADDRESS} and holds no password"),
        "secret": (is_variable, VARIABLE),
        "command": (is_argv, "a list of words, the program first"),
        "events": (is_events, f"a list of some of {', '.join(NOTIFY_EVENTS)}"),
        "timeout_s": (is_seconds, SECONDS),
        "attempts": (is_attempts, f"an integer from 1 to {_ATTEMPTS_MAX}"),
    }
)
_TEMPORAL: Known = MappingProxyType(
    {
        "address": (lambda value: isinstance(value, str) and bool(_PLACE.fullmatch(value)), "HOST:PORT"),
        "namespace": (lambda value: isinstance(value, str) and bool(value), "the name of a namespace"),
        "queue": (lambda value: isinstance(value, str) and is_name(value), "lower case letters, digits and -"),
        "blobs": (lambda value: is_path(value) or is_bucket(value), "an absolute path, or s3://BUCKET/PREFIX"),
        "codec_key": (is_path, PATH),
        "blobs_endpoint": (is_address, ADDRESS),
        "blobs_region": (lambda value: isinstance(value, str) and is_name(value), "the name of a region"),
        "tls": (lambda value: value is True or isinstance(value, dict), "true, or a mapping of ca, cert, key"),
        "api_key": (is_variable, VARIABLE),
        "keep_days": (is_days, f"an integer from {_DAYS_MIN} to {_DAYS_MAX}"),
    }
)
_TLS: Known = MappingProxyType(
    {
        "ca": (is_path, PATH),
        "cert": (is_path, PATH),
        "key": (is_path, PATH),
        "server_name": (lambda value: isinstance(value, str) and bool(_HOST.fullmatch(value)), "a host name"),
    }
)
_NEVER_SHOWN = frozenset({"notify.webhook", "notify.secret"})  # a wrong value may be a secret


def wrong_keys(value: object, known: Known, at: str) -> Iterator[str]:
    """The mistakes of a mapping at the path `at`."""
    if not isinstance(value, dict):
        yield f"{at}: {as_written(value)} is not valid: expected a mapping of {', '.join(known)}"
        return
    for name, item in value.items():
        if name not in known:
            yield f"{at}.{_key(name)}: no such setting: {_suggestion(name, known)}"
        elif not known[name][0](item):
            shown = "this" if f"{at}.{name}" in _NEVER_SHOWN else as_written(item)
            yield f"{at}.{name}: {shown} is not valid: expected {known[name][1]}"


def as_written(value: object) -> str:
    """A wrong value, as it is written in the file."""
    words: dict[object, str] = {True: "true", False: "false", None: "null"}
    return words[value] if value is None or isinstance(value, bool) else repr(value)


def _key(name: object) -> str:
    """A key as it is written: YAML 1.1 reads `on` as true."""
    return {True: "on", False: "off"}[name] if isinstance(name, bool) else str(name)


def _suggestion(name: object, known: Known) -> str:
    near = get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _wrong_notify(value: object) -> Iterator[str]:
    yield from wrong_keys(value, _NOTIFY, "notify")
    if not isinstance(value, dict):
        return
    if "webhook" not in value and "command" not in value:
        yield "notify: set `webhook` or `command`: without them nothing is sent"
    elif "secret" in value and "webhook" not in value:
        yield "notify.secret: it signs webhook messages, but `webhook` is not set"


def _notify(value: Mapping[str, Any]) -> NotifySettings:
    lists = {name: tuple(value[name]) for name in ("command", "events") if name in value}
    return NotifySettings(**{**value, **lists})


def _wrong_temporal(value: object) -> Iterator[str]:
    yield from wrong_keys(value, _TEMPORAL, "temporal")
    tls = value.get("tls") if isinstance(value, dict) else None
    if not isinstance(tls, dict):
        return
    yield from wrong_keys(tls, _TLS, "temporal.tls")
    if ("cert" in tls) != ("key" in tls):
        lacking = "key" if "cert" in tls else "cert"
        yield f"temporal.tls: {lacking} is missing: a certificate is shown with its key"


def _temporal(value: Mapping[str, Any]) -> TemporalSettings:
    tls = {} if (given := value.get("tls")) is True else given
    return TemporalSettings(**{**value, "tls": None if tls is None else TlsSettings(**tls)})


def _wrong_held_out(value: object) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"held_out: {as_written(value)} is not valid: expected a mapping of names to absolute paths"
        return
    for name, path in value.items():
        if not isinstance(name, str) or not is_name(name):
            yield f"held_out: {name!r} is not a valid name: use lower case letters, digits and -, such as feature-a"
        elif not isinstance(path, str) or not PurePath(path).is_absolute():
            yield f"held_out.{name}: {as_written(path)} is not valid: expected an absolute path"


SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "ci": Section(lambda value: wrong_keys(value, _CI, "ci"), lambda value: CiSettings(**value)),
        "notify": Section(_wrong_notify, _notify),
        "held_out": Section(_wrong_held_out, dict),
        "temporal": Section(_wrong_temporal, _temporal),
    }
)
