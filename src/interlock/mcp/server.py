"""The servers: one for a repository, with tools, resources and prompts; and one for an agent in a stage, with one tool.
They call Interlock's own verbs: an agent gets exactly the output that a person at the terminal gets.

Rule: answers for people are off unless the server was started with them. What an agent sends is a value, never an
option; every failure is a ToolError that says what to do next.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from interlock import __version__
from interlock.bootstrap import Application, build
from interlock.core.events import Action
from interlock.core.pipeline import ARTIFACTS
from interlock.execution.rehearsal import decode_rehearsal
from interlock.ports import InterlockError
from interlock.process import Captured, capture
from interlock.service import AnswerRequest
from interlock.service.diffs import is_withheld, visible_diff

WAIT_S_MAX = 600
_POLL_S = 0.5
_MOVING = ("running", "sleeping")
_ARTIFACT_BYTES_MAX = 5_000_000
_FINDINGS_MAX = 20  # of a gate, for an agent in a stage
_CHARACTERS_MAX = 4_000  # of a finding
_STARTED = re.compile(r"^run (\S+) goes on", re.MULTILINE)
_INSTRUCTIONS = """\
Interlock runs pipelines of stages. A stage's candidate is accepted only when every gate passed on exactly that tree;
what an agent says of its own work counts for nothing. Call list_pipelines, then start_run, then wait_run. When a gate
says no, get_verdicts tells why and where; get_diff shows the work. `check` asks the same gates about the working tree.
A phase of `waiting` means that a person is needed: tell them what it waits for, with the commands that it names."""

Verb = Literal["approve", "reject", "retry", "cancel"]
Document = dict[str, object]
CheckDocument = dict[str, Any]


def mcp_server(folder: Path, environ: Mapping[str, str], *, allow_answers: bool = False) -> MCPServer:
    """A server for the repository around `folder`; `run("stdio")` runs it. With `allow_answers` an agent may approve,
    reject, retry and cancel in the name of the person who started the server."""
    server = MCPServer("interlock", instructions=_INSTRUCTIONS, version=__version__, log_level="ERROR")
    program = Program(folder, environ)
    _pipelines(server, program)
    _runs(server, program)
    _details(server, program)
    _resources(server, program)
    _prompts(server)
    if allow_answers:
        _answers(server, program)
    return server


def checking_server(folder: Path, environ: Mapping[str, str], rehearsal: Path) -> MCPServer:
    """A server for an agent in a stage, whose checkout is around `folder`: one tool, which asks the gates of the file
    `rehearsal`."""
    server = MCPServer("interlock", version=__version__, log_level="ERROR")
    program = Program(folder, environ)
    left_out = decode_rehearsal(rehearsal.read_text(encoding="utf-8")).left_out

    @server.tool()
    async def check() -> CheckDocument:
        """Ask the gates of your stage about the files as they are now; each that failed has findings to mend."""
        found = await program.document("check", "--json", f"--inside={rehearsal}", timeout_s=CHECK_S)
        gates = [_gate(one) for one in found["gates"]]  # type: ignore[attr-defined]
        passed = bool(found["passed"])
        undecided = [one["gate"] for one in gates if one["status"] == "errored"]
        failed = any(one["status"] == "failed" for one in gates)
        next_step = _next_step([] if failed else undecided, left_out, failed=failed)
        return {"passed": passed, "gates": gates, "asked_later": list(left_out), "next": next_step}

    return server


def _pipelines(server: MCPServer, program: Program) -> None:
    @server.tool()
    async def list_pipelines() -> Document:
        """The pipelines of this repository, by name and file, and whether they are valid."""
        return await program.document("validate", "--json")

    @server.tool()
    async def validate_pipeline(pipeline: str) -> Document:
        """Everything that is wrong with a pipeline (by name or path), each with file, line and what would be right."""
        return await program.document("validate", "--json", f"--pipeline={pipeline}")

    @server.tool()
    async def check(stage: str = "", pipeline: str = "") -> Document:
        """Ask the gates of a stage (or of all) about the working tree as it is. `passed` tells whether none said no;
        each gate that did has findings with file and line. What does not apply outside a run is `skipped`."""
        words = ["check", "--json"]
        words += [f"--stage={stage}"] if stage else []
        words += [f"--pipeline={pipeline}"] if pipeline else []
        return await program.document(*words, timeout_s=CHECK_S)


def _runs(server: MCPServer, program: Program) -> None:
    @server.tool()
    async def start_run(
        task: str, pipeline: str = "", inputs: dict[str, str] | None = None, base: str = "", until: str = ""
    ) -> Document:
        """Start a run in the background. Returns its id for wait_run. `base` is a commit, or `worktree` for what is
        uncommitted; `until` leaves out what comes after that stage."""
        if not task.strip():
            raise ToolError("say in `task` what is to be done")
        words = ["run", "--detach", "--task-file=-"]
        named = {"pipeline": pipeline, "base": base, "until": until}
        words += [f"--{name}={value}" for name, value in named.items() if value]
        words += [f"--input={name}={value}" for name, value in (inputs or {}).items()]
        done = await program.call(*words, stdin=task)
        output = (done.err + done.out).decode("utf-8", "replace")
        started = _STARTED.search(output)
        if done.code != 0 or started is None:
            raise ToolError(output.strip() or "the run did not start, and printed no reason")
        return {"run": started[1], "next": "wait_run"}

    @server.tool()
    async def list_runs(count: int = 20) -> Document:
        """The newest runs, newest first."""
        return await program.document("list", "--json", f"--count={count}")

    @server.tool()
    async def get_run(run: str = "") -> Document:
        """Where a run is: its phase, what it waits for and the commands that answer it, what it spent, each stage.
        Without a name the only unfinished run, else the newest; a unique beginning is a name, `@` is the newest run,
        `@-1` the one before."""
        return await _run_summary(program, run)

    @server.tool()
    async def wait_run(ctx: Context, run: str = "", timeout_s: float = 60) -> Document:
        """As get_run, once the run waits for a person or is over, or after `timeout_s` seconds (600 at most): then
        `timed_out` is true, and wait_run may be called again."""
        with anyio.move_on_after(min(max(timeout_s, 0), WAIT_S_MAX)):
            seen = -1
            while (summary := await _run_summary(program, run))["phase"] in _MOVING:
                if summary["seq"] != seen:
                    seen = int(str(summary["seq"]))
                    await ctx.report_progress(seen, message=f"{summary['phase']}: event {seen}")
                await anyio.sleep(_POLL_S)
            return {**summary, "timed_out": False}
        summary = await _run_summary(program, run)
        return {**summary, "timed_out": summary["phase"] in _MOVING}


def _details(server: MCPServer, program: Program) -> None:
    @server.tool()
    async def get_stage(run: str, stage: str, attempts: int = 5) -> Document:
        """A stage with its newest attempts: outcome, claim, verdicts with findings, digests, cost."""
        shown = await program.document("show", "--json", "--", run, stage)
        found = shown.get("stage")
        if not isinstance(found, dict):
            raise ToolError(f"{stage} is no stage: get_run lists them")
        every = found.get("attempts") or []
        return {**shown, "stage": {**found, "attempts": every[-max(1, attempts) :]}, "attempts_total": len(every)}

    @server.tool()
    async def get_verdicts(run: str, attempt: str, offset: int = 0, count: int = 20) -> Document:
        """The verdicts on an attempt (STAGE/EPOCH.NUMBER, such as code/1.2), each with its findings."""
        shown = await program.document("show", "--json", "--", run, attempt)
        found = shown.get("attempt")
        if not isinstance(found, dict):
            raise ToolError(f"{attempt} is no attempt: say STAGE/EPOCH.NUMBER, get_stage lists them")
        every = found.get("verdicts") or []
        piece = every[max(0, offset) : max(0, offset) + max(1, count)]
        return {
            "run": shown["run"],
            "attempt": attempt,
            "phase": found.get("phase"),
            "verdicts": piece,
            "total": len(every),
        }

    @server.tool()
    async def get_diff(run: str, attempt: str = "", offset: int = 0) -> Document:
        """What an attempt changed against its input (without one: the newest candidate), a page at a time."""
        return page(await program.text("diff", "--", run, *([attempt] if attempt else [])), offset)

    @server.tool()
    async def read_log(run: str, attempt: str, gate: str = "", offset: int = 0) -> Document:
        """What an attempt's worker printed, or what a gate printed about it, a page at a time. An `offset` below 0
        counts from the end."""
        return page(await program.text("logs", "--", run, attempt, *([gate] if gate else [])), offset)

    @server.tool()
    async def get_brief(run: str, attempt: str = "", offset: int = 0) -> Document:
        """What the agent of an attempt was told (without one: of the newest), as it was sent, a page at a time."""
        return page(await program.text("show", "--brief", "--", run, *([attempt] if attempt else [])), offset)

    @server.tool()
    async def get_artifact(run: str, subject: str, file: str, offset: int = 0) -> Document:
        """A document that a stage produced, by its file name (such as plan.md). `subject` is a stage, for what was
        accepted, or an attempt such as plan/1.2."""
        return page(await anyio.to_thread.run_sync(_artifact, program, run, subject, file), offset)


def _resources(server: MCPServer, program: Program) -> None:
    @server.resource("run://{run}", mime_type="application/json")
    async def run_resource(run: str) -> Document:
        """Where a run is."""
        return await _run_summary(program, run)

    @server.resource("artifact://{run}/{stage}/{file}", mime_type="text/plain")
    async def artifact_resource(run: str, stage: str, file: str) -> str:
        """An accepted document."""
        return await anyio.to_thread.run_sync(_artifact, program, run, stage, file)


def _prompts(server: MCPServer) -> None:
    @server.prompt()
    def work_under_interlock(task: str) -> str:
        """How to have a task done by a pipeline."""
        rule = "Have this done, and do not report it as done unless the run's phase is `accepted`:"
        return f"{_INSTRUCTIONS}\n\n{rule}\n\n{task}"

    @server.prompt()
    def mend_a_rejection(run: str, stage: str) -> str:
        """How to find out why a stage was rejected."""
        return (
            f"In run {run} the stage {stage} was rejected. Read get_stage, then get_verdicts of its newest attempt,"
            " then get_diff and read_log where a finding needs them. Say what is wrong, where, and what would fix it."
            " Do not change the gates or what is protected."
        )


def _answers(server: MCPServer, program: Program) -> None:
    @server.tool()
    async def answer(  # noqa: PLR0913 - an argument each
        run: str, action: Verb, stage: str = "", gate: str = "", comment: str = "", now: bool = False
    ) -> Document:
        """Answer for a person: approve or reject what waits, retry a stage (`now` ends its attempt first), or cancel
        the run. A rejection needs a comment: the next attempt is told. It is journalled as given through MCP."""
        if action == "reject" and not comment.strip():
            raise ToolError("say in `comment` what is wrong: the next attempt is told")
        name, owner = await anyio.to_thread.run_sync(_answer, program, run, (action, stage, gate, comment, now))
        if not owner:
            await program.call("resume", "--detach", "--", name)
        return {"run": name, "taken_by": owner or "a new owner in the background", "next": "wait_run"}


def _answer(program: Program, run: str, given: tuple[Verb, str, str, str, bool]) -> tuple[str, str]:
    """The id of the run, and its owner."""
    action, stage, gate, comment, now = given
    with program.application() as app:
        view = app.service.describe_run(app.service.latest_run(run).id)
        by = f"{app.person()} (MCP)"
        app.service.answer(view, AnswerRequest(Action(action), by, stage=stage, gate=gate, comment=comment, now=now))
        return view.id, app.service.owner_of(view.id)


def _artifact(program: Program, run: str, subject: str, file: str) -> str:
    stage = subject.partition("/")[0]
    with program.application() as app:
        view = app.service.describe_run(app.service.latest_run(run).id)
        known = [one.id for one in view.stages]
        if stage not in known:
            raise ToolError(f"run {view.id} has no stage {stage!r}: it has {', '.join(known)}")
        commit = app.service.commit_of(view, subject)
        folder = f"{ARTIFACTS}/{stage}/"
        content = None if ".." in file.split("/") else app.workspaces.read(commit, folder + file, _ARTIFACT_BYTES_MAX)
        if content is None:
            changes = visible_diff(app.workspaces, view, view.base_commit, commit, patch=False).changes
            known_files = [one.path.removeprefix(folder) for one in changes if one.path.startswith(folder)]
            raise ToolError(f"{subject} has no artifact {file!r}: it has {', '.join(known_files) or 'none'}")
        if is_withheld(view, commit, folder + file):
            raise ToolError(f"{subject}: {file} holds a secret that was handed out, and is not shown: see its findings")
        return content.decode("utf-8", "replace")


async def _run_summary(program: Program, run: str) -> Document:
    """The run without its attempts, which get_stage gives."""
    shown = await program.document("status", "--json", *(["--", run] if run else []))
    found = shown.get("run")
    if not isinstance(found, dict):
        raise ToolError("no such run: list_runs shows those there are")
    stages = [{**stage, "attempts": len(stage["attempts"])} for stage in found.get("stages", [])]
    values = {name: value for name, value in found.items() if name not in ("base_verdicts", "answers")}
    return {**values, "stages": stages}


# --- the server for an agent in a stage ------------------------------------------------------------


def _gate(shown: CheckDocument) -> CheckDocument:
    findings = (shown.get("judgement") or {}).get("findings") or []
    return {
        "gate": shown["gate"],
        "status": shown["status"],
        "skipped": shown["skipped"],
        "findings": [_finding(one) for one in findings[:_FINDINGS_MAX]],
        "findings_total": len(findings),
    }


def _finding(shown: CheckDocument) -> CheckDocument:
    return {**shown, "message": str(shown.get("message", ""))[:_CHARACTERS_MAX]}


def _next_step(undecided: list[str], left_out: tuple[str, ...], *, failed: bool) -> str:
    if failed:
        return "fix what did not pass, then call check again"
    later = f"; {', '.join(left_out)} will judge too" if left_out else ""
    if undecided:
        return f"end your work: {', '.join(undecided)} errored, which is no fault of your files{later}"
    return f"end your work: these gates have nothing against it{later}"


# --- calls of verbs -----------------------------------------------------------------------------


PAGE = 16_000  # characters
CHECK_S = 3_600
_CALL_S = 120
_OUTPUT_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Program:
    """The repository around `folder`, with the environment of whoever started the server."""

    folder: Path
    environ: Mapping[str, str]

    async def document(self, *words: str, timeout_s: float = _CALL_S) -> dict[str, object]:
        """What a verb prints as JSON, whatever its exit code. Raises ToolError."""
        done = await self.call(*words, timeout_s=timeout_s)
        try:
            document = json.loads(done.out)
        except ValueError:
            raise ToolError(_why(done)) from None
        if not isinstance(document, dict):
            raise ToolError(_why(done))
        return document

    async def text(self, *words: str) -> str:
        """What a verb prints for people. Raises ToolError if it fails."""
        done = await self.call(*words)
        if done.code != 0:
            raise ToolError(_why(done))
        return done.out.decode("utf-8", "replace")

    async def call(self, *words: str, stdin: str = "", timeout_s: float = _CALL_S) -> Captured:
        argv = (sys.executable, "-P", "-m", "interlock", *words)  # -P: nothing is imported from the folder
        env = {**self.environ, "NO_COLOR": "1", "CI": "true"}

        def run() -> Captured:
            return capture(argv, cwd=self.folder, env=env, stdin=stdin.encode("utf-8"), timeout_s=timeout_s)

        try:
            return await anyio.to_thread.run_sync(run)
        except (InterlockError, ValueError) as error:  # ValueError: a NUL in a word
            raise ToolError(str(error)) from error

    @contextmanager
    def application(self) -> Iterator[Application]:
        """The application, for what no verb prints. Raises ToolError for every expected error."""
        try:
            app = build(self.folder, self.environ)
            try:
                yield app
            finally:
                app.close()
        except InterlockError as error:
            raise ToolError(str(error)) from error


def page(text: str, offset: int) -> dict[str, object]:
    """One page of `text` from character `offset` on (below 0: from the end), and the offset of the next page."""
    total = len(text)
    start = max(0, total + offset) if offset < 0 else min(offset, total)
    end = min(total, start + PAGE)
    return {"text": text[start:end], "offset": start, "next_offset": end if end < total else None, "total": total}


def _why(done: Captured) -> str:
    output = (done.err or done.out).decode("utf-8", "replace").strip()[-_OUTPUT_MAX:]
    return output or f"it ended with exit code {done.code} and said nothing"
