"""Start programs with an argv, an explicit folder and a clean environment, and end them with all their children.

Rule: only this package imports subprocess. `capture` is for short calls of trusted programs, `supervise` for programs
that we do not trust (agents, scripts, gates), `detach` for an owner of a run that outlives its terminal.
"""

from interlock.process.controller import prepare, supervise
from interlock.process.fence import behind
from interlock.process.identity import alive, end_supervised, identity, kill_tree
from interlock.process.landlock import abi as landlock_abi
from interlock.process.listening import Gateway, Serve
from interlock.process.masking import MaskedBlobs, masked, masked_finding, masked_text
from interlock.process.outside import capture_outside, supervise_outside
from interlock.process.programs import (
    Captured,
    capture,
    checkout_environment,
    detach,
    own_environment,
    relative_path_entries,
    scrubbed,
)
from interlock.process.room import BLOCK_FD, FILTER_FD, FIRST_FILE_FD, STATUS_FD, holds_scopes
from interlock.process.spawner import Confined, Fence, Finished, How, Supervised
from interlock.process.terminal import run_in_terminal
from interlock.process.usage import Limits

__all__ = [
    "BLOCK_FD",
    "FILTER_FD",
    "FIRST_FILE_FD",
    "STATUS_FD",
    "Captured",
    "Confined",
    "Fence",
    "Finished",
    "Gateway",
    "How",
    "Limits",
    "MaskedBlobs",
    "Serve",
    "Supervised",
    "alive",
    "behind",
    "capture",
    "capture_outside",
    "checkout_environment",
    "detach",
    "end_supervised",
    "holds_scopes",
    "identity",
    "kill_tree",
    "landlock_abi",
    "masked",
    "masked_finding",
    "masked_text",
    "own_environment",
    "prepare",
    "relative_path_entries",
    "run_in_terminal",
    "scrubbed",
    "supervise",
    "supervise_outside",
]
