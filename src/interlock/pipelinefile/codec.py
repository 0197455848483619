"""The pipeline as JSON and back (`core.codec`), and the digests of definitions.

Rule: exact. A run's pipeline is stored by content and reloaded from that alone. A key that an older version did not
write gets its default; a pipeline of a newer version is rejected with the advice to upgrade.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

from interlock.core.codec import NewerFormat, object_reader, object_writer
from interlock.core.pipeline import Gate, GateKind, GateOptions, Pipeline, Stage
from interlock.ports import Damaged, InfrastructureError

FORMAT = 1
# Every gate is recorded with these keys; they are null in gates of another kind. Other kinds add their own key.
OF_EVERY_GATE = ("ci", "review", "traces")
_BUILT_IN = frozenset(GateKind)


def encode_pipeline(pipeline: Pipeline) -> str:
    """Canonical JSON: the same pipeline gives the same text."""
    content = object_writer(Pipeline)(pipeline)
    for stage, written in zip(pipeline.stages, content["stages"], strict=True):
        for gate, fields in zip(stage.gates, written["gates"], strict=True):
            fields.update(_options(gate))
    return _canonical({"format": FORMAT, "pipeline": content})


def decode_pipeline(text: str) -> Pipeline:
    """Decode what `encode_pipeline` wrote. Raises InfrastructureError if it is damaged or of a newer version."""
    return replace(_decoded(text), _by_id={})  # each caller has its own: a pipeline keeps what it looked up


@lru_cache(maxsize=16)  # the runs of a list have few pipelines
def _decoded(text: str) -> Pipeline:
    try:
        content = json.loads(text)
        if content["format"] > FORMAT:
            raise NewerFormat(f"its format is {content['format']}, but this version reads format {FORMAT}")
        options = _pop_options(content["pipeline"])
        pipeline: Pipeline = object_reader(Pipeline)(content["pipeline"])
        pipeline = replace(
            pipeline, stages=tuple(_with_options(stage, options) for stage in pipeline.stages), _by_id={}
        )
    except NewerFormat as error:
        raise InfrastructureError(
            f"the recorded pipeline was written by a newer Interlock ({error}): upgrade Interlock", permanent=True
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise Damaged(f"the recorded pipeline cannot be read ({what}): the journal is damaged") from error
    return pipeline


def digest_of(definition: object) -> str:
    """The sha256 in hex of a definition's canonical JSON without its own `digest`. Stages and gates inside it are
    represented by their digests, which must be set."""
    plain = _shallow(definition)
    plain.pop("digest", None)
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()


def _options(gate: Gate) -> dict[str, Any]:
    """The recorded keys of the gate's kind."""
    own = {} if gate.options is None else {gate.kind: _fields(gate.options)}
    return {**dict.fromkeys(OF_EVERY_GATE), **own}


def _pop_options(content: dict[str, Any]) -> dict[tuple[str, str], GateOptions]:
    """Remove the options of each gate from `content` and return them by stage and gate id. Raises NewerFormat for an
    unknown kind of gate."""
    found: dict[tuple[str, str], GateOptions] = {}
    for stage in content["stages"]:
        for gate in stage.get("gates", ()):
            kind = str(gate["kind"])
            options = None if kind in _BUILT_IN else _options_of(kind)
            own = gate.pop(kind, None) if options is not None else None
            if options is not None:
                found[stage["id"], gate["id"]] = object_reader(options)(own)  # type: ignore[arg-type]
            for key in OF_EVERY_GATE:
                gate.pop(key, None)
    return found


def _options_of(kind: str) -> type[GateOptions] | None:
    from interlock.gates.kinds import find  # lazy: most pipelines have only built-in kinds

    try:
        return find(kind).options
    except KeyError:
        raise NewerFormat(f"a gate of kind {kind!r:.80} is not known here") from None


def _with_options(stage: Stage, options: dict[tuple[str, str], GateOptions]) -> Stage:
    gates = tuple(replace(gate, options=options.get((stage.id, gate.id))) for gate in stage.gates)
    return replace(stage, gates=gates) if any(gate.options for gate in gates) else stage


def _shallow(definition: object) -> dict[str, Any]:
    match definition:
        case Pipeline():
            return {
                **_fields(replace(definition, stages=(), _by_id={})),
                "stages": [x.digest for x in definition.stages],
            }
        case Stage():
            return {**_fields(replace(definition, gates=())), "gates": [x.digest for x in definition.gates]}
        case Gate():
            return {**_fields(definition), **_options(definition)}
        case _:
            return _fields(definition)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _fields(value: object) -> dict[str, Any]:
    return object_writer(type(value))(value)  # type: ignore[arg-type]
