"""Paths, the user's settings, the identity of repositories, locks of runs, and ids of runs."""

from interlock.settings.file import NotifySettings, Settings, load_settings
from interlock.settings.identity import Identity, Record, identify, records_of
from interlock.settings.lock import Owned, Owner, RunLock, owner_of
from interlock.settings.paths import Paths, RepositoryPaths, is_run_id, new_run_id, paths_of, repository_key

__all__ = [
    "Identity",
    "NotifySettings",
    "Owned",
    "Owner",
    "Paths",
    "Record",
    "RepositoryPaths",
    "RunLock",
    "Settings",
    "identify",
    "is_run_id",
    "load_settings",
    "new_run_id",
    "owner_of",
    "paths_of",
    "records_of",
    "repository_key",
]
