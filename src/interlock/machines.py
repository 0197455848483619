"""What all machines share, as this one reaches it by its settings: the blobs, and the server of runs on many machines.

What a worker has not used for long is removed here too: all of it can be had again. What is at work was used within
two days, since each effect begins by renewing what it needs.

Rule: what a user does not use is not loaded: neither the server's client nor the library of a bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.journal import FileBlobs, PatientBlobs, SharedBlobs
from interlock.ports import InfrastructureError, UsageError
from interlock.ports.disk import make_private
from interlock.settings import (
    Owned,
    Paths,
    RepositoryPaths,
    RunLock,
    Settings,
    TemporalSettings,
    paths_of,
    this_process,
)

if TYPE_CHECKING:
    from interlock.core.pipeline import Pipeline
    from interlock.engines.temporal.checks import ServerLook
    from interlock.engines.temporal.server import Server
    from interlock.journal import Bucket
    from interlock.workspaces import Collected

_DAY_S = 86_400.0
_WORKERS_MAX = 256  # of one user, on one machine


def blobs_of(
    folder: Path, settings: Settings, environ: Mapping[str, str], *, reads: bool = False
) -> FileBlobs | SharedBlobs:
    """Those of this machine; what is not here is read from those that are shared, where there are any."""
    shared = _shared_blobs(settings, environ)
    return SharedBlobs(FileBlobs(folder), shared, reads=reads) if shared else FileBlobs(folder)


def shared_blobs_of(settings: Settings, environ: Mapping[str, str]) -> PatientBlobs | Bucket:
    """Those that all machines share, without a copy on this one. Raises UsageError where the settings name none."""
    shared = _shared_blobs(settings, environ)
    if shared is None:
        raise UsageError(
            f"runs on {settings.temporal.address} need blobs that all machines share: set temporal.blobs in the"
            " settings to the absolute path of a folder, or to s3://BUCKET/PREFIX"
        )
    return shared


def _shared_blobs(settings: Settings, environ: Mapping[str, str]) -> PatientBlobs | Bucket | None:
    """Without a setting, a server on this machine has a folder beside its own state."""
    given = settings.temporal
    if given.blobs.startswith("s3:"):
        from interlock.journal import Bucket

        usual = environ.get("AWS_ENDPOINT_URL_S3", "") or environ.get("AWS_ENDPOINT_URL", "")
        return Bucket(given.blobs, given.blobs_endpoint or usual, given.blobs_region)
    if given.blobs:
        return PatientBlobs(FileBlobs(Path(given.blobs), shared=True))
    return PatientBlobs(FileBlobs(paths_of(environ).dev / "blobs")) if given.is_here else None


# --- the server ---------------------------------------------------------------------------------


def server_of(settings: Settings, environ: Mapping[str, str], folder: Path | None = None) -> Server:
    """The server for runs on many machines; shared blobs are read through `folder`. Raises UsageError where the
    settings lack what is needed."""
    try:
        from interlock.engines.temporal.access import access_of
        from interlock.engines.temporal.payloads import read_keys
        from interlock.engines.temporal.server import Server
    except ModuleNotFoundError as error:
        raise UsageError("runs on Temporal need its client: pip install 'interlock[temporal]'") from error

    given, shared = settings.temporal, shared_blobs_of(settings, environ)
    blobs = SharedBlobs(FileBlobs(folder), shared) if folder else shared
    key = _key_file(given, environ)
    keys = read_keys(key) if key else ()
    return Server(given.address, given.namespace, given.queue, blobs, keys, access_of(given, environ))


def _key_file(given: TemporalSettings, environ: Mapping[str, str]) -> Path | None:
    """That of the settings, or of `interlock dev`, whose server asks nobody who they are; None: nothing is encrypted.
    Raises UsageError where there must be one and is none."""
    if given.codec_key or not given.is_here:
        return Path(given.codec_key) if given.codec_key else None
    made = paths_of(environ).dev_key
    if not made.is_file():
        raise UsageError(
            f"{given.address} is trusted only with the key that `interlock dev` makes, and {made} is not there: start"
            " `interlock dev` as this user, or set temporal.blobs in the settings for another server"
        )
    return made


def check_server(settings: Settings, environ: Mapping[str, str], begins: Pipeline | None = None) -> tuple[str, ...]:
    """Try blobs and server before anything is started. Returns warnings, each with what to do. Raises UsageError,
    InfrastructureError: also if a run of the pipeline `begins` is to begin that nobody would take. The client has
    threads: enter namespaces before."""
    look = look_at_server(settings, environ)
    check_blobs(settings, environ)
    if look.keyless:
        raise InfrastructureError(look.keyless, permanent=True)
    if begins is not None and look.foreign:
        raise InfrastructureError(look.foreign, permanent=True)
    return (*look.warnings(), *(look.unmet_by(begins) if begins is not None else ()))


def look_at_server(settings: Settings, environ: Mapping[str, str]) -> ServerLook:
    """Raises UsageError, InfrastructureError."""
    server = server_of(settings, environ)
    from interlock.engines.temporal.checks import looked

    return looked(server)


def check_blobs(settings: Settings, environ: Mapping[str, str]) -> str:
    """Write to the shared blobs and read it back. Returns where they are. Raises UsageError, InfrastructureError."""
    shared = shared_blobs_of(settings, environ)
    shared.check()
    return str(shared)


# --- what workers keep --------------------------------------------------------------------------


def worker_paths(general: Paths) -> RepositoryPaths:
    """The folders of this process as a worker, until it ends. What workers have left behind that were killed is
    removed. Raises InfrastructureError."""
    from interlock.workspaces import sweep

    ours: RepositoryPaths | None = None
    make_private(general.of_worker(1).root)
    for number in range(1, _WORKERS_MAX + 1):
        paths = general.of_worker(number)
        path = paths.run_lock(f"worker-{number}")
        if ours is not None and not path.exists():
            break
        lock = RunLock(path, this_process(), busy="used", wait_s=0.0)
        with suppress(Owned):
            lock.__enter__()  # the kernel frees ours when this process ends
            sweep((paths.places, paths.gates))
            if ours is None:
                make_private(paths.places.parent)
                ours = paths
            else:
                lock.__exit__()
    if ours is None:
        raise InfrastructureError(f"{_WORKERS_MAX} workers of this user are at work: start them on other machines")
    return ours


def clean_worker(
    settings: Settings, environ: Mapping[str, str], now: float, *, dry_run: bool = False
) -> Collected | None:
    """Remove commits and copies of blobs that the workers of this user on this machine have not used for
    `temporal.keep_days`, or only say what that would be. None if there never was a worker. Workers may be at work, and
    several processes may do this at once. `now` is unix seconds. Raises InfrastructureError."""
    from interlock.journal.shared import old_copies
    from interlock.workspaces import GitWorkspaces

    paths = paths_of(environ).of_worker(1)
    if not paths.root.is_dir():
        return None
    age_s = settings.temporal.keep_days * _DAY_S
    with GitWorkspaces(paths.store, paths.places, None, environ, own=paths.own) as workspaces:
        gone = workspaces.preview((), age_s, now) if dry_run else workspaces.collect((), age_s, now)
    blobs, size = 0, 0
    for path in old_copies(paths.blobs, now - age_s) if _has_copies(paths.blobs, settings, environ) else ():
        with suppress(OSError):  # another process was faster
            size += path.stat().st_blocks * 512
            if not dry_run:
                path.unlink()
            blobs += 1
    return replace(gone, bytes=gone.bytes + size, blobs=blobs)


def _has_copies(folder: Path, settings: Settings, environ: Mapping[str, str]) -> bool:
    """Whether what is in the folder lies among the shared blobs too."""
    shared = _shared_blobs(settings, environ)
    return shared is not None and Path(str(shared)).resolve() != folder.resolve()
