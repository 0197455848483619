"""The key of a verdict: a digest of all that it may hang on.

Rule: when in doubt it is in the key. In it are the gate's definition, tree, baseline, base, setup, held-out
files, what the gate sees of the environment, the programs that its command names, the system, and the sandbox level.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from interlock.core.pipeline import Command
from interlock.gates.caching import digest_of
from interlock.gates.held_out import HeldOut
from interlock.gates.held_out import digest as digest_held_out
from interlock.ports import Case
from interlock.process import scrubbed

_WORDS_MAX = 100


def verdict_key(case: Case, environ: Mapping[str, str], held_out: HeldOut) -> str:
    """Hex. Raises HeldOutMissing where the held-out files are not there."""
    gate = case.gate
    env = scrubbed(environ, (*gate.env, *gate.secrets))
    return digest_of(
        gate,
        case.tree,
        case.base_commit,
        case.baseline,
        (case.decided_on_input, case.subject.is_base),
        case.pipeline.setup,
        digest_held_out(held_out.source(gate.held_out)) if gate.held_out else "",
        tuple(sorted({**env, **case.values}.items())),
        _programs(gate.command or Command(), env.get("PATH", os.defpath)),
        tuple(os.uname())[0:1] + tuple(os.uname())[2:],  # not the machine's name
        case.sandbox,
    )


def _programs(command: Command, path: str) -> tuple[tuple[str, int, int], ...]:
    """Every program that a word of the command may name: where it really is, its size and when it was written."""
    words = re.findall(r"[\w./+-]+", " ".join(command.words))[:_WORDS_MAX]
    found = {shutil.which(word, path=path) for word in words}
    return tuple(_identity(Path(program)) for program in sorted(filter(None, found)))


def _identity(program: Path) -> tuple[str, int, int]:
    status = program.stat()
    return str(program.resolve()), status.st_size, status.st_mtime_ns
