"""Programs: started with an argv, an explicit folder and a scrubbed environment, and ended with all their children.

Rule: the only package that imports subprocess. `capture` for our own short calls of trusted programs, `supervise`
for what we do not trust (agents, scripts, gates), `detach` for an owner of a run that outlives its terminal.
"""

from interlock.process.attended import attended
from interlock.process.captured import capture
from interlock.process.detached import detach
from interlock.process.environment import checkout_environment, own_environment, relative, scrubbed
from interlock.process.identity import alive, identity, kill_tree
from interlock.process.left import end_left
from interlock.process.masking import MaskedBlobs, masked, masked_finding, masked_text
from interlock.process.supervised import prepare, supervise
from interlock.process.work import Captured, Finished, How, Supervised

__all__ = [
    "Captured",
    "Finished",
    "How",
    "MaskedBlobs",
    "Supervised",
    "alive",
    "attended",
    "capture",
    "checkout_environment",
    "detach",
    "end_left",
    "identity",
    "kill_tree",
    "masked",
    "masked_finding",
    "masked_text",
    "own_environment",
    "prepare",
    "relative",
    "scrubbed",
    "supervise",
]
