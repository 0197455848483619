"""The keys of a run and of a verdict: digests of all that they may hang on.

Rule: when in doubt it is in the key. A run hangs on what its command can see: the files, base and candidate in
`.git`, what setup installed, held-out files, the environment, the programs and packages of this machine. It does not
hang on who asks: the names of pipeline, stage and gate, the baseline and what is expected belong to the verdict.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from interlock.core.pipeline import Baseline, Command, Expect
from interlock.gates.caching import digest_of
from interlock.gates.held_out import HeldOut
from interlock.gates.held_out import digest as digest_held_out
from interlock.gates.surroundings import packages, programs
from interlock.ports import Case
from interlock.process import scrubbed


def run_key(case: Case, environ: Mapping[str, str], values: Mapping[str, str], room: str, held_out: HeldOut) -> str:
    """Hex. `values` are those of the run that the command sees, `room` is the digest of the clean room. Raises
    HeldOutMissing where the held-out files are not there."""
    gate, command = case.gate, case.gate.command or Command()
    env = scrubbed(environ, (*gate.env, *gate.secrets))
    asked = replace(
        gate, id="", digest="", used="", held_out="", base_green=False, baseline=Baseline.KEEP, expect=Expect.PASS
    )
    found = programs(command, env.get("PATH", os.defpath))
    return digest_of(
        asked,
        case.tree,
        room,
        _held_out(held_out.source(gate.held_out)) if gate.held_out else (),
        tuple(sorted({**env, **values}.items())),
        found,
        packages([name for name, *_ in found], env),
        tuple(os.uname())[0:1] + tuple(os.uname())[2:],  # not the machine's name
        case.sandbox,
    )


def verdict_key(case: Case, run: str) -> str:
    """Hex. What was run, and what it is judged by."""
    alone = (case.subject.is_base, case.subject.is_input)
    without = case.input_tree if case.gate.expect is Expect.TESTS_PROVE_CHANGE else ""
    return digest_of(run, case.gate, case.baseline, case.on_base, case.decided_on_input, alone, without)


def _held_out(source: Path) -> tuple[str, str]:
    """What is in it, and what the command sees of its name."""
    return digest_held_out(source), source.suffix if source.is_file() else ""
