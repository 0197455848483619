"""The sandbox: what an untrusted program sees of the machine. A *room* holds one program and all that it starts.

Levels:

- `full` (Linux, by bubblewrap): the program sees the system read-only, its checkout, a home and a /tmp of its own, and
  nothing else of the machine: no other file, process, socket or network. Nothing of it outlives it.
- `none`: the program has the rights of the user. Accidents are kept apart, malice is not.

A level between them, for macOS and for machines that forbid namespaces, does not exist yet.

Rule: a level is in force only where a room was made and looked at (`probe`), never because it was asked for.
Rule: no program of ours runs in a room, and no secret is on a command line.
"""

from interlock.sandbox.probe import LEVELS, Probe, best_level, probe, require
from interlock.sandbox.reads import is_shown, unseen
from interlock.sandbox.room import Network, Room, confine
from interlock.sandbox.trial import POLLING, Held, limits_held

__all__ = [
    "LEVELS",
    "POLLING",
    "Held",
    "Network",
    "Probe",
    "Room",
    "best_level",
    "confine",
    "is_shown",
    "limits_held",
    "probe",
    "require",
    "unseen",
]
