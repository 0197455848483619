"""The parts of a brief, each a text of its own.

Rule: what we say is bounded, and whatever lies somewhere is named by a path that holds where the agent works.
"""

from __future__ import annotations
