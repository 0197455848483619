"""What `init` writes: pipelines with ready gates, for what it finds in a folder and on PATH.

Rule: planning only reads; writing never replaces a file unless it is forced to; and only gates that
something in the folder asks for are written, so that they can pass at once.
"""

from __future__ import annotations

from interlock.pipelinefile.repo import Which
from interlock.pipelinefile.scaffold.choices import GateTrial, GateTrials
from interlock.pipelinefile.scaffold.plan import (
    Detected,
    InitOptions,
    Scaffold,
    missing_dependencies,
    plan_files,
    write,
)

__all__ = [
    "Detected",
    "GateTrial",
    "GateTrials",
    "InitOptions",
    "Scaffold",
    "Which",
    "missing_dependencies",
    "plan_files",
    "write",
]
