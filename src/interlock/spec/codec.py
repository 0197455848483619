"""The pipeline as JSON and back (`core.codec`), and the digests of definitions.

Rule: exact; a run's pipeline is stored by content and reloaded from that alone. What an older version did not know has
its default, what a newer one knows more is refused as such.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from interlock.core.codec import Newer, object_reader, object_writer
from interlock.core.pipeline import Pipeline, Stage
from interlock.ports import Damaged, InfrastructureError

FORMAT = 1


def encode_pipeline(pipeline: Pipeline) -> str:
    """Canonical JSON: the same pipeline gives the same text."""
    return _canonical({"format": FORMAT, "pipeline": object_writer(Pipeline)(pipeline)})


def decode_pipeline(text: str) -> Pipeline:
    """What `encode_pipeline` made. Raises InfrastructureError where it is something else, or of a newer version."""
    try:
        content = json.loads(text)
        if content["format"] > FORMAT:
            raise Newer(f"its format is {content['format']}, and {FORMAT} is known here")
        pipeline: Pipeline = object_reader(Pipeline)(content["pipeline"])
    except Newer as error:
        raise InfrastructureError(
            f"the recorded pipeline was written by a newer Interlock ({error}): upgrade Interlock", permanent=True
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise Damaged(f"the recorded pipeline cannot be read ({what}): the journal is damaged") from error
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


def _fields(value: object) -> dict[str, Any]:
    return object_writer(type(value))(value)  # type: ignore[arg-type]
