"""The server that an agent in a stage is given: one tool, for its own stage, on its own checkout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcp.server import MCPServer

from interlock import __version__
from interlock.execution.rehearsal import decode_rehearsal
from interlock.mcp.program import CHECK_S, Program

_FINDINGS_MAX = 20  # of a gate
_CHARACTERS_MAX = 4_000  # of a finding

Document = dict[str, Any]


def checking_server(folder: Path, environ: Mapping[str, str], rehearsal: Path) -> MCPServer:
    """A server for the checkout around `folder`, with the gates that lie in the file `rehearsal`."""
    server = MCPServer("interlock", version=__version__, log_level="ERROR")
    program = Program(folder, environ)
    left_out = decode_rehearsal(rehearsal.read_text(encoding="utf-8")).left_out

    @server.tool()
    async def check() -> Document:
        """Ask the gates of your stage about the files as they are now; each that failed has findings to mend."""
        said = await program.document("check", "--json", f"--inside={rehearsal}", timeout_s=CHECK_S)
        gates = [_gate(one) for one in said["gates"]]  # type: ignore[attr-defined]
        passed = bool(said["passed"])
        undecided = [one["gate"] for one in gates if one["status"] == "errored"]
        failed = any(one["status"] == "failed" for one in gates)
        said_next = _next([] if failed else undecided, left_out, failed=failed)
        return {"passed": passed, "gates": gates, "asked_later": list(left_out), "next": said_next}

    return server


def _gate(said: Document) -> Document:
    findings = (said.get("judgement") or {}).get("findings") or []
    return {
        "gate": said["gate"],
        "status": said["status"],
        "skipped": said["skipped"],
        "findings": [_finding(one) for one in findings[:_FINDINGS_MAX]],
        "findings_total": len(findings),
    }


def _finding(said: Document) -> Document:
    return {**said, "message": str(said.get("message", ""))[:_CHARACTERS_MAX]}


def _next(undecided: list[str], left_out: tuple[str, ...], *, failed: bool) -> str:
    if failed:
        return "mend what did not pass, then call check again"
    later = f"; {', '.join(left_out)} will judge too" if left_out else ""
    if undecided:
        return f"end your work: {', '.join(undecided)} could not decide, which is no fault of your files{later}"
    return f"end your work: these gates have nothing against it{later}"
