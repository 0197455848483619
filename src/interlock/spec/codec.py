"""The pipeline as JSON and back. Rule: exact; a run's pipeline is stored by content and reloaded from that alone."""

from __future__ import annotations

import hashlib
import json
import types
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from interlock.core import pipeline as core
from interlock.core.pipeline import Pipeline, Stage
from interlock.ports import UsageError

FORMAT = 1
_BARE = frozenset({str, int, float, bool})


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
    """sha256 in hex of a definition's canonical JSON, its own `digest` left out. Stages and gates within
    stand for themselves by their digests, which must be there."""
    plain = _shallow(definition)
    plain.pop("digest", None)
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()


def _shallow(definition: object) -> dict[str, Any]:
    match definition:
        case Pipeline():
            return {
                **_fields(replace(definition, stages=(), _by_id={})),
                "stages": [x.digest for x in definition.stages],
            }
        case Stage():
            return {**_fields(replace(definition, gates=())), "gates": [x.digest for x in definition.gates]}
        case _:
            return _fields(definition)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> Any:  # noqa: ANN401
    if value is None or type(value) in _BARE:
        return value
    if isinstance(value, tuple):
        return [item if type(item) is str else _plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    return _fields(value)


def _fields(value: object) -> dict[str, Any]:
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"a {type(value).__name__} is not part of a pipeline")
    return {name: _plain(getattr(value, name)) for name in _names(type(value))}


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
        known = {name: hint for name, hint in _hints(kind).items() if name in value}  # an older record lacks newer ones
        return kind(**{name: _read(hint, value[name]) for name, hint in known.items()})
    if issubclass(kind, StrEnum):
        return kind(value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _read_tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:  # noqa: ANN401
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        if kinds[0] is str and all(type(item) is str for item in value):
            return tuple(value)
        return tuple(_read(kinds[0], item) for item in value)
    return tuple(_read(kind, item) for kind, item in zip(kinds, value, strict=True))
