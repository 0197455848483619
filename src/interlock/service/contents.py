"""What a run needs besides commits is collected when it starts, for the machines that will work on it.

Rule: what an agent's options name in the working tree becomes part of the pipeline; all else lies among the blobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.core.pipeline import Pipeline
from interlock.gates.held_out import HeldOut, HeldOutMissing, files
from interlock.ports import Blobs, UsageError
from interlock.text.names import is_name

if TYPE_CHECKING:
    from interlock.core.pipeline import AgentSpec
    from interlock.service.runs import RunRequest
    from interlock.workspaces import GitWorkspaces

_TOLD_BYTES = 50_000_000  # from here on it takes a while


def with_scripts(pipeline: Pipeline, folder: Path) -> Pipeline:
    """The pipeline with the scripts of its `scripted` agents in it, where they were paths relative to `folder`. Raises
    UsageError if one cannot be read, or names what is no text."""
    return replace(pipeline, agents=tuple(_with_script(spec, folder) for spec in pipeline.agents))


def _with_script(spec: AgentSpec, folder: Path) -> AgentSpec:
    given = dict(spec.options)
    if spec.use != "scripted" or "script" not in given:
        return spec
    from interlock.agents.kinds.scripted import BadScript, inlined

    try:
        script = inlined(json.loads(given["script"]), folder)
    except BadScript as error:
        raise UsageError(f"agent {spec.name}: {error}") from error
    options = {**given, "script": json.dumps(script)}
    return replace(spec, options=tuple(options.items()))


def collect(
    workspaces: GitWorkspaces, held_out: HeldOut, blobs: Blobs, request: RunRequest, tell: Callable[[int], None]
) -> str:
    """Put among the shared `blobs` what the commits of a run do not hold: contents of Git LFS, files to carry, held-out
    files. Returns the digest of the manifest of the last two, empty if there are none. `tell` is called with the bytes
    if they are many. Held-out files of a name that no setting here knows stay out: the workers may know them. A path in
    the pipeline is refused: whoever wrote the pipeline would choose what of this machine others can read. Raises
    UsageError, InfrastructureError."""
    pipeline, base = request.pipeline, request.base_commit
    needs = workspaces.needs(pipeline.carry, {name: _files(held_out, name) for name in _names(held_out, pipeline)})
    size = needs.size + workspaces.lfs_bytes(base, blobs)
    if size >= _TOLD_BYTES:
        tell(size)
    workspaces.share(base, blobs)
    return needs.put(blobs)


def _names(held_out: HeldOut, pipeline: Pipeline) -> Iterator[str]:
    named = {gate.held_out for stage in pipeline.stages for gate in stage.gates if gate.held_out}
    if path := next((name for name in sorted(named) if not is_name(name)), ""):
        raise UsageError(
            f"held_out: {path}: other machines would be sent what is there: give it a name in the pipeline, and the"
            " path to that name in your settings (`held_out`)"
        )
    yield from sorted(named & held_out.names().keys())


def _files(held_out: HeldOut, name: str) -> tuple[Path, list[Path]]:
    try:
        source = held_out.source(name)
        return source, list(files(source))
    except HeldOutMissing as error:
        raise UsageError(str(error)) from error
