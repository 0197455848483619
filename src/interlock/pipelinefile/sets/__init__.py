"""Gate sets: what `use: python.test` stands for.

Rule: what a ready gate runs is decided when the pipeline is loaded, from the folder where the user
stands, and never from a candidate. Each language is one module of `languages`, found by its name.
"""

from __future__ import annotations

from interlock.pipelinefile.sets.ready import LANGUAGES, MEMBERS, NAMES, ResolvedGate, resolve

__all__ = ["LANGUAGES", "MEMBERS", "NAMES", "ResolvedGate", "resolve"]
