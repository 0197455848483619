"""Builds of Interlock that control runs: a run ends on the build that it began with.

Rule: a build is named by the version and a digest of the code that decides what a run does next, so that code which
decides otherwise is another build, whatever its version says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from temporalio.api.deployment.v1 import WorkerDeploymentVersion as Version
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

import interlock
from interlock.ports import InfrastructureError

_FLOW = ("exclusive", "fleet", "flow", "messages", "needs", "payloads")
_DECIDE = ("core", "engines/reconcile.py", "pipelinefile", *(f"engines/temporal/{name}.py" for name in _FLOW))
_TRY_S, _TRIES = 0.2, 150


@cache
def build() -> str:
    """Of this process, such as `0.1.0-3f2a9c1d`."""
    seen = sha256()
    for path in _files(Path(interlock.__file__).parent):
        seen.update(path.read_bytes())
    return f"{interlock.__version__}-{seen.hexdigest()[:8]}"


def _files(package: Path) -> Iterator[Path]:
    for name in _DECIDE:
        found = package / name
        yield from sorted(found.rglob("*.py")) if found.is_dir() else [found]


def deployment(queue: str) -> WorkerDeploymentConfig:
    """How a controller says which build it is. Runs are pinned to it."""
    version = WorkerDeploymentVersion(deployment_name=queue, build_id=build())
    return WorkerDeploymentConfig(
        version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


async def become_current(client: Client, queue: str) -> str:
    """New runs begin with this build from now on, unless they already begin with that of a newer version. Returns the
    build that they begin with. Raises InfrastructureError."""
    for _ in range(_TRIES):
        try:
            current = await _current(client, queue)
            if current == build() or _version(current) > _version(build()):
                return current
            await client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=client.namespace, deployment_name=queue, build_id=build(), ignore_missing_task_queues=True
                )
            )
            return build()
        except RPCError as error:
            if error.status is RPCStatusCode.UNIMPLEMENTED:
                raise InfrastructureError(
                    f"the Temporal server knows no worker versions ({error}): update it"
                ) from error
            said = error  # the server has not seen this controller yet
        await asyncio.sleep(_TRY_S)
    raise InfrastructureError(f"this controller cannot be made the one of new runs: {said}") from said


async def is_left_behind(client: Client, handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether the run began with another build than new runs do: where it is silent, others need not be."""
    began = await _began(handle)
    return bool(began.build_id) and began.build_id != await _current(client, began.deployment_name)


async def silence(handle: WorkflowHandle[Any, Any], run: str) -> str:
    """What to say of a run for which no controller answers."""
    began = (await _began(handle)).build_id
    if not began:
        return f"no controller has taken run {run}: start one with `interlock worker --controller`; the run waits there"
    return (
        f"run {run} began with Interlock {began}, and no controller of that build answers: start one of that version"
        f" (this is {build()}); the run waits there, and `interlock resume {run}` follows it again"
    )


async def _began(handle: WorkflowHandle[Any, Any]) -> Version:
    """The build that the run began with; without an id if no controller has taken it."""
    told = (await handle.describe()).raw_description.workflow_execution_info
    return told.versioning_info.deployment_version


async def _current(client: Client, queue: str) -> str:
    """The build that new runs begin with; empty if there is none."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=queue)
    found = await client.workflow_service.describe_worker_deployment(request)
    return found.worker_deployment_info.routing_config.current_deployment_version.build_id


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name.partition("-")[0]))
