"""The pipeline as JSON and back. Rule: exact; a run's pipeline is stored by content and reloaded from that alone."""

from __future__ import annotations

import hashlib
import json
import types
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from interlock.core import pipeline as core
from interlock.core.pipeline import Pipeline
from interlock.ports import UsageError

FORMAT = 1


def encode_pipeline(pipeline: Pipeline) -> str:
    """Canonical JSON: the same pipeline gives the same text."""
    return _canonical({"format": FORMAT, "pipeline": _plain(pipeline)})


def decode_pipeline(text: str) -> Pipeline:
    """What `encode_pipeline` made. Raises UsageError where it is something else."""
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise UsageError(f"a pipeline recorded in format {content['format']}: this version reads {FORMAT}")
        pipeline: Pipeline = _read(Pipeline, content["pipeline"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"this is no recorded pipeline ({error!r}): start the run anew") from error
    return pipeline


def digest_of(definition: object) -> str:
    """sha256 in hex of a definition's canonical JSON, its own `digest` left out."""
    plain = _plain(definition)
    if isinstance(plain, dict):
        plain.pop("digest", None)
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> Any:  # noqa: ANN401
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}
    raise TypeError(f"a {type(value).__name__} is not part of a pipeline")


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(known.name for known in fields(kind) if not known.name.startswith("_"))


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, vars(core))
    return {name: hints[name] for name in _names(kind)}


def _read(kind: Any, value: Any) -> Any:  # noqa: ANN401
    """A value of type `kind`. Raises TypeError, KeyError or ValueError where it has another shape."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = next(option for option in get_args(kind) if option is not type(None))
        return None if value is None else _read(inner, value)
    if origin is tuple:
        return _read_tuple(get_args(kind), value)
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(**{name: _read(hint, value[name]) for name, hint in _hints(kind).items()})
    if issubclass(kind, StrEnum):
        return kind(value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _read_tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:  # noqa: ANN401
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_read(kinds[0], item) for item in value)
    return tuple(_read(kind, item) for kind, item in zip(kinds, value, strict=True))
