"""Paths, the user's settings, the identity of repositories, locks of runs, and ids of runs."""

from interlock.settings.file import (
    ENGINES,
    NotifySettings,
    Settings,
    TemporalSettings,
    TlsSettings,
    is_local,
    load_settings,
)
from interlock.settings.identity import Identity, Record, find_repository, identify, records_of
from interlock.settings.lock import Owned, Owner, RunLock, one_effect, owner_of, this_process
from interlock.settings.paths import Paths, RepositoryPaths, is_run_id, new_run_id, paths_of, repository_key

__all__ = [
    "ENGINES",
    "Identity",
    "NotifySettings",
    "Owned",
    "Owner",
    "Paths",
    "Record",
    "RepositoryPaths",
    "RunLock",
    "Settings",
    "TemporalSettings",
    "TlsSettings",
    "find_repository",
    "identify",
    "is_local",
    "is_run_id",
    "load_settings",
    "new_run_id",
    "one_effect",
    "owner_of",
    "paths_of",
    "records_of",
    "repository_key",
    "this_process",
]
