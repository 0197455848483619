"""The interfaces between the protocol and the world, and the values that cross them.

Adapters implement the ports; `execution` calls nothing else. To perform an effect, the effect, the run's context and
these ports are enough. So the same code runs on a thread, in a simulation or on a worker.
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
    reports_machine_error,
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
    "reports_machine_error",
    "secrets_of",
    "started",
]
