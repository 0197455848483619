"""The sandbox: what an untrusted program sees of the machine. A *room*, or a
*fence*, holds one program and all that it starts.

Levels:

- `full` (Linux, by bubblewrap): the program sees the system read-only, its checkout, a home and a /tmp of its own, and
  nothing else of the machine: no other file, process, socket or network. Nothing of it outlives it.
- `fs` (Linux 6.12 or newer, by Landlock): where namespaces are forbidden. The program writes only the folders of its
  checkout, and reads these, the system and programs on the PATH. It sees processes, has the user's id, and is limited
  in memory and processes only where a control group can be had.
- `none`: the program has the rights of the user. Accidents are kept apart, malice is not.

There is none for macOS yet.

Rule: a level is in force only where a room was made and looked at (`probe`), never because it was asked for.
Rule: no program of ours runs in a room, and no secret is on a command line.
"""

from interlock.sandbox.fence import NO_SYSTEM_FILES
from interlock.sandbox.owner import owner_here, owner_in, take_over
from interlock.sandbox.probe import FS_WORDS, LEVELS, Probe, best_level, instead, missing, probe, probe_fence, require
from interlock.sandbox.reads import alone, is_shown, named_paths, unseen, unseen_in
from interlock.sandbox.room import Network, Room, confine
from interlock.sandbox.trial import POLLING, Held, limits_held

__all__ = [
    "FS_WORDS",
    "LEVELS",
    "NO_SYSTEM_FILES",
    "POLLING",
    "Held",
    "Network",
    "Probe",
    "Room",
    "alone",
    "best_level",
    "confine",
    "instead",
    "is_shown",
    "limits_held",
    "missing",
    "named_paths",
    "owner_here",
    "owner_in",
    "probe",
    "probe_fence",
    "require",
    "take_over",
    "unseen",
    "unseen_in",
]
