"""Workspaces: a private store that no agent writes, checkouts made from it, and candidates read back as files.

Rule: what an agent leaves is data. Interlock never runs git on it.
"""

from interlock.workspaces.base import Base
from interlock.workspaces.gc import Collected, DiskUsage, sweep
from interlock.workspaces.git import check_version, identities_in
from interlock.workspaces.git_workspaces import GitWorkspaces
from interlock.workspaces.packs import received_ref
from interlock.workspaces.storage import base_ref

__all__ = [
    "Base",
    "Collected",
    "DiskUsage",
    "GitWorkspaces",
    "base_ref",
    "check_version",
    "identities_in",
    "received_ref",
    "sweep",
]
