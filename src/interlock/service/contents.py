"""What a run needs besides commits is collected when it starts, for the machines that will work on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.core.pipeline import Pipeline
from interlock.gates.held_out import HeldOut, HeldOutMissing, files
from interlock.ports import Blobs, UsageError

if TYPE_CHECKING:
    from interlock.service.runs import RunRequest
    from interlock.workspaces import GitWorkspaces

_TOLD_BYTES = 50_000_000  # from here on it takes a while


def collect(
    workspaces: GitWorkspaces, held_out: HeldOut, blobs: Blobs, request: RunRequest, tell: Callable[[int], None]
) -> str:
    """Put among the shared `blobs` what the commits of a run do not hold: contents of Git LFS, files to carry, held-out
    files. Returns the digest of the manifest of the last two, empty if there are none. `tell` is called with the bytes
    if they are many. Held-out files of a name that no setting here knows stay out: the workers may know them. Raises
    UsageError, InfrastructureError."""
    pipeline, base = request.pipeline, request.base_commit
    _refuse_scripts(pipeline)
    needs = workspaces.needs(pipeline.carry, {name: _files(held_out, name) for name in _names(held_out, pipeline)})
    size = needs.size + workspaces.lfs_bytes(base, blobs)
    if size >= _TOLD_BYTES:
        tell(size)
    workspaces.share(base, blobs)
    return needs.put(blobs)


def _refuse_scripts(pipeline: Pipeline) -> None:
    """A path of an agent's options leads into the working tree, with whatever is beside it."""
    for spec in pipeline.agents:
        if spec.use == "scripted" and dict(spec.options).get("script", "").startswith('"'):
            raise UsageError(
                f"agent {spec.name}: its script is in the working tree, which workers do not have: write the script"
                " itself below `script`"
            )


def _names(held_out: HeldOut, pipeline: Pipeline) -> Iterator[str]:
    named = {gate.held_out for stage in pipeline.stages for gate in stage.gates if gate.held_out}
    yield from sorted(name for name in named if name.startswith("/") or name in held_out.names())


def _files(held_out: HeldOut, name: str) -> tuple[Path, list[Path]]:
    try:
        source = held_out.source(name)
        return source, list(files(source))
    except HeldOutMissing as error:
        raise UsageError(str(error)) from error
