"""What the sandbox hides from a gate: files that its output misses."""

from __future__ import annotations

import os
from collections.abc import Iterator

from interlock.core.events import Finding, Severity
from interlock.gates.running import CommandRun
from interlock.ports import GateRequest
from interlock.sandbox import unseen, unseen_in


def missed(request: GateRequest, ran: CommandRun) -> Iterator[Finding]:
    """A note on a file of the machine that the output misses, unless the command itself names one. An agent is told of
    neither."""
    sandbox, path = request.sandbox_spec, os.environ.get("PATH", os.defpath)
    hint = unseen_in(ran.tail, sandbox, path)
    if hint and not (request.gate.command and unseen(request.gate.command.words, sandbox, path)):
        yield Finding("sandbox", hint, Severity.NOTE)
