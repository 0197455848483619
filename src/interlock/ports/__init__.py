"""What the protocol needs of the world, and the values that cross the boundary.

Adapters implement these; `execution` calls nothing else. Performing an effect needs the effect, the
run's context and these ports, so the same code runs on a thread, in a simulation or on a worker.
"""

from interlock.ports.agents import Agent, Brief, Ended, Lender, Outcome, secrets_of
from interlock.ports.errors import (
    Cancelled,
    Damaged,
    DeliveryRefused,
    Fenced,
    InfrastructureError,
    InterlockError,
    UnfitSetup,
    UnfitTree,
    UsageError,
    as_infrastructure,
    machine_trouble,
    names_trouble,
    started,
)
from interlock.ports.gates import GateRequest, Gates, Judgement
from interlock.ports.journal import Answer, Blobs, Journal
from interlock.ports.time import Cancel, Clock, Permit, has_worked, may_begin
from interlock.ports.workspaces import Candidate, Change, Checkout, CheckoutSpec, Merged, Stamp, Workspaces
from interlock.ports.world import Render, World

__all__ = [
    "Agent",
    "Answer",
    "Blobs",
    "Brief",
    "Cancel",
    "Cancelled",
    "Candidate",
    "Change",
    "Checkout",
    "CheckoutSpec",
    "Clock",
    "Damaged",
    "DeliveryRefused",
    "Ended",
    "Fenced",
    "GateRequest",
    "Gates",
    "InfrastructureError",
    "InterlockError",
    "Journal",
    "Judgement",
    "Lender",
    "Merged",
    "Outcome",
    "Permit",
    "Render",
    "Stamp",
    "UnfitSetup",
    "UnfitTree",
    "UsageError",
    "Workspaces",
    "World",
    "as_infrastructure",
    "has_worked",
    "machine_trouble",
    "may_begin",
    "names_trouble",
    "secrets_of",
    "started",
]
