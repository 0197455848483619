"""Whether the sandbox can be had on this machine. What needs it is skipped elsewhere, and says what is missing."""

from __future__ import annotations

import os

import pytest

from interlock.sandbox import best_level, probe, probe_fence

LEVEL = best_level(os.environ)
FENCES = probe_fence(os.environ)
needs_rooms = pytest.mark.skipif(LEVEL != "full", reason=f"no sandbox here: {probe(os.environ).missing}")
needs_fences = pytest.mark.skipif(bool(FENCES.missing), reason=f"no fences here: {FENCES.missing}")
