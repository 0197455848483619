"""Artifacts, and the values that commands see as environment variables.

No template ever enters a command line: what an agent wrote reaches a shell as a variable or a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlock.core.ids import AttemptId
from interlock.core.pipeline import ARTIFACTS, AgentSpec, Pipeline, Stage
from interlock.execution.context import Context
from interlock.ports import Checkout
from interlock.process import checkout_environment


def artifact_path(pipeline: Pipeline, name: str) -> str:
    """Where the artifact STAGE/NAME lies in a tree. Raises KeyError."""
    stage_id, artifact_name = name.split("/", 1)
    for artifact in pipeline.stage(stage_id).produces:
        if artifact.name == artifact_name:
            return f"{ARTIFACTS}/{stage_id}/{artifact.file}"
    raise KeyError(name)


def pointed_at(document: object, pointer: str) -> object:
    """The value at a JSON pointer (RFC 6901), None where there is none."""
    value = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def gate_values(context: Context, stage: Stage) -> Mapping[str, str]:
    """TASK, INPUT_* and ARTIFACT_* for a gate; paths are relative to the checkout's root. Not the run's name: what a
    gate says must not hang on it."""
    return {**_common(context), **_artifact_values(context.pipeline, stage, root="")}


def worker_environment(context: Context, stage: Stage, spec: AgentSpec, checkout: Checkout) -> Mapping[str, str]:
    """All that a worker sees: a minimal base, what the stage and the agent name, and the run's values."""
    allowed = (*stage.env, *stage.secrets, *spec.env, *spec.secrets)
    own = {
        "ARTIFACTS": checkout.seen(checkout.tree / ARTIFACTS / stage.id),
        "INTERLOCK_RUN": context.run,
        **_common(context),
        **_artifact_values(context.pipeline, stage, root=f"{checkout.seen(checkout.tree)}/"),
    }
    return checkout_environment(context.environ, checkout, allowed, own)


def attempt_name(run: str, attempt: AttemptId) -> str:
    return f"{run}/{attempt}"


def _common(context: Context) -> dict[str, str]:
    inputs = {f"INPUT_{_upper(name)}": value for name, value in context.started.inputs}
    return {"TASK": context.started.task, **inputs}


def _artifact_values(pipeline: Pipeline, stage: Stage, root: str) -> dict[str, str]:
    """ARTIFACT_<STAGE>_<NAME> of the stage and of all that it hangs on."""
    return {
        f"ARTIFACT_{_upper(name)}_{_upper(artifact.name)}": f"{root}{ARTIFACTS}/{name}/{artifact.file}"
        for name in (*pipeline.upstream(stage.id), stage.id)
        for artifact in pipeline.stage(name).produces
    }


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
