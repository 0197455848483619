"""The tools of the server for a repository. Each asks a verb of Interlock, and answers with what an agent needs first.

Rule: what an agent sends is a value, never an option; every failure is a ToolError that says which tool to call next.
`answer` is the only tool that speaks for a person, and it is there only where the server was started with it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import anyio
import anyio.to_thread

from interlock.application import Application
from interlock.bootstrap import build
from interlock.core.events import Action
from interlock.core.pipeline import ARTIFACTS
from interlock.mcp import documents
from interlock.mcp.tool import BEGINS, DECIDES, READS, RUNS_GATES, Document, Tool, ToolError
from interlock.ports import InterlockError
from interlock.process import Captured, capture
from interlock.readmodel.run import RunView
from interlock.service import AnswerRequest
from interlock.service.diffs import is_withheld, visible_diff
from interlock.text.cleaning import plain

PAGE = 16_000  # characters
CHECK_S = 3_600
_CALL_S = 120
_OUTPUT_MAX = 4_000
_COMMAND = re.compile(r"`interlock ([a-z]+)[^`]*`")
_LINE = re.compile(r"^(next: )?[ \t]*interlock ([a-z]+)\b.*$", re.MULTILINE)  # a command of its own
_OPTION = re.compile(r"(?<![\w`-])--(pipeline|base|until|stage)\b")
_INPUT = re.compile(r"^-i\b")
_LEVEL = re.compile(r"^(?:error: |warning: .*\n?)", re.MULTILINE)
_TOOL_OF = {
    "check": "check",
    "diff": "read",
    "list": "list_runs",
    "logs": "read",
    "run": "start_run",
    "show": "get_attempt",
    "status": "get_run",
    "validate": "list_pipelines",
    "watch": "get_run",
}
_ANSWER_OF = dict.fromkeys(("approve", "reject", "retry", "cancel"), "answer")
_WAIT_S_MAX = 600
_POLL_S = 0.5
_COUNT_MAX = 100
_ARTIFACT_BYTES_MAX = 5_000_000
_STARTED = re.compile(r"^run (\S+)", re.MULTILINE)
_RUN = {"run": "call `list_runs` to find it"}

Detail = Literal["compact", "full"]
What = Literal["change", "files", "diff", "log", "brief", "artifact", "records"]
Verb = Literal["approve", "reject", "retry", "cancel"]
_DECISIONS = ("approve", "reject")  # on an attempt


async def _unheard(step: int, message: str) -> None:
    """Progress for a caller that asked for none."""


@dataclass(frozen=True, slots=True)
class Program:
    """The repository around `folder`, with the environment of whoever started the server. `answers`: an agent may
    answer for a person. `report` tells the caller of a tool how far it is."""

    folder: Path
    environ: Mapping[str, str]
    answers: bool = False
    report: Callable[[int, str], Awaitable[None]] = _unheard

    async def document(self, *words: str, timeout_s: float = _CALL_S) -> Document:
        """What a verb prints as JSON, whatever its exit code. Raises ToolError."""
        done = await self.call(*words, timeout_s=timeout_s)
        try:
            document = json.loads(done.out)
        except ValueError:
            raise self.failed(done) from None
        if not isinstance(document, dict):
            raise self.failed(done)
        return document

    async def text(self, *words: str) -> str:
        """What a verb prints for people. Raises ToolError if it fails."""
        done = await self.call(*words)
        if done.code != 0:
            raise self.failed(done)
        return done.out.decode("utf-8", "replace")

    async def call(self, *words: str, stdin: str = "", timeout_s: float = _CALL_S) -> Captured:
        argv = (sys.executable, "-P", "-m", "interlock", *words)  # -P: nothing is imported from the folder
        env = {**self.environ, "NO_COLOR": "1", "CI": "true"}

        def run() -> Captured:
            return capture(argv, cwd=self.folder, env=env, stdin=stdin.encode("utf-8"), timeout_s=timeout_s)

        try:
            return await anyio.to_thread.run_sync(run)
        except (InterlockError, ValueError) as error:  # ValueError: a NUL in a word
            raise self.error(str(error)) from error

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
            raise self.error(str(error)) from error

    def failed(self, done: Captured) -> ToolError:
        output = (done.err or done.out).decode("utf-8", "replace").strip()[-_OUTPUT_MAX:]
        return self.error(output or f"it ended with exit code {done.code} and printed nothing")

    def error(self, words: str) -> ToolError:
        """The same words with tools and their arguments in place of commands and options. A command for which there is
        no tool is a person's."""
        known = {**_TOOL_OF, **(_ANSWER_OF if self.answers else {})}

        def tool(found: re.Match[str]) -> str:
            return f"`{known[found[1]]}`" if found[1] in known else found[0]

        def line(found: re.Match[str]) -> str:
            begin, verb = found[1] or "  ", found[2]
            if verb not in known:
                return f"{begin}tell a person, who alone may {verb} it: `get_run` shows where it is"
            action = f' with action="{verb}"' if known[verb] == "answer" else ""
            return f"{begin}`{known[verb]}`{action}"

        said = _LEVEL.sub("", words).strip() or words
        if _LINE.search(said):
            said = "\n".join(dict.fromkeys(_LINE.sub(line, said).split("\n")))
        return ToolError(_INPUT.sub("`inputs`", _OPTION.sub(r"`\1`", _COMMAND.sub(tool, said))))


# --- the tools --------------------------------------------------------------------------------------


async def list_pipelines(program: Program, pipeline: str = "") -> Document:
    shown = await program.document("validate", "--json", *([f"--pipeline={pipeline}"] if pipeline else []))
    return documents.pipelines_document(shown, one=bool(pipeline))


async def check(program: Program, stage: str = "", pipeline: str = "", detail: Detail = "compact") -> Document:
    words = ["check", "--json"]
    words += [f"--stage={stage}"] if stage else []
    words += [f"--pipeline={pipeline}"] if pipeline else []
    return documents.checked_document(await program.document(*words, timeout_s=CHECK_S), full=detail == "full")


async def start_run(  # noqa: PLR0913 - an argument each
    program: Program,
    task: str,
    pipeline: str = "",
    inputs: dict[str, str] | None = None,
    base: str = "",
    until: str = "",
) -> Document:
    words = ["run", "--detach", "--task-file=-"]
    named = {"pipeline": pipeline, "base": base, "until": until}
    words += [f"--{name}={value}" for name, value in named.items() if value]
    words += [f"--input={name}={value}" for name, value in (inputs or {}).items()]
    done = await program.call(*words, stdin=task)
    started = _STARTED.search((done.err + done.out).decode("utf-8", "replace"))
    if done.code != 0 or started is None:
        raise program.failed(done)
    return {"run": started[1], "next": "`get_run` with wait_s=45 waits until it needs a person or is over"}


async def list_runs(program: Program, count: int = 10) -> Document:
    count = min(max(count, 1), _COUNT_MAX)
    return documents.runs_document(await program.document("list", "--json", f"--count={_COUNT_MAX + 1}"), count)


async def get_run(program: Program, run: str = "", wait_s: float = 0, detail: Detail = "compact") -> Document:
    shown = await _run(program, run)
    timed_out = {}
    if wait_s > 0:
        with anyio.move_on_after(min(wait_s, _WAIT_S_MAX)):
            seen = -1
            while shown["phase"] in documents.MOVING:
                if shown["seq"] != seen:
                    seen = int(shown["seq"])
                    await program.report(seen, f"{shown['phase']}: event {seen}")
                await anyio.sleep(_POLL_S)
                shown = await _run(program, str(shown["id"]))
        timed_out = {"timed_out": shown["phase"] in documents.MOVING}
    return {**documents.run_document(shown, full=detail == "full", answers=program.answers), **timed_out}


async def get_attempt(  # noqa: PLR0913 - an argument each
    program: Program, run: str, attempt: str, gate: str = "", offset: int = 0, detail: Detail = "compact"
) -> Document:
    stage = attempt.partition("/")[0]
    shown = await program.document("show", "--json", "--", run, stage)
    attempts = (shown.get("stage") or {}).get("attempts") or []
    names = [str(one["id"]) for one in attempts]
    if not attempts:
        raise ToolError(f"stage {stage} has no attempt yet: `get_run` shows where the run is")
    if "/" in attempt and attempt not in names:
        raise ToolError(f"run {shown['run']} has no attempt {attempt}: there are {', '.join(names[-10:])}")
    index = names.index(attempt) if "/" in attempt else len(names) - 1
    until = attempts[: index + 1]
    return documents.attempt_document(str(shown["run"]), until, full=detail == "full", gate=gate, offset=offset)


async def read(  # noqa: PLR0913 - an argument each
    program: Program, what: What, run: str, attempt: str = "", name: str = "", offset: int = 0
) -> str:
    words = [run, *([attempt] if attempt else [])]
    match what:
        case "change":
            text = await program.text("diff", "--", run, *(["base", attempt] if attempt else []))
        case "files":
            text = await program.text("diff", "--stat", "--", run, *(["base", attempt] if attempt else []))
        case "diff":
            text = await program.text("diff", "--", run, _needed("diff", "attempt", attempt))
        case "log":
            text = await program.text("logs", "--", *words, *([name] if name and attempt else []))
        case "brief":
            text = await program.text("show", "--brief", "--", *words)
        case "artifact":
            subject, file = _needed("artifact", "attempt", attempt), _needed("artifact", "name", name)
            text = await anyio.to_thread.run_sync(artifact, program, run, subject, file)
        case "records":
            done = await program.call("verify", "--", run)
            if not done.out:
                raise program.failed(done)
            text = done.out.decode("utf-8", "replace")
    return page(text, offset)


async def answer(  # noqa: PLR0913 - an argument each
    program: Program,
    run: str,
    action: Verb,
    attempt: str = "",
    stage: str = "",
    gate: str = "",
    comment: str = "",
    now: bool = False,
) -> Document:
    if action in _DECISIONS and not attempt:
        raise ToolError(f"`answer` needs `attempt` to {action}: the one that you read; `get_run` names it in `waits`")
    if action == "reject" and not comment.strip():
        raise ToolError("`answer` needs `comment` to reject: say what is wrong, since the next attempt is told")
    name, owner = await anyio.to_thread.run_sync(_answer, program, run, (action, attempt, stage, gate, comment, now))
    if not owner:
        await program.call("resume", "--detach", "--", name)
    next_step = "`get_run` with wait_s=45 tells what became of it"
    return {"run": name, "taken_by": owner or "a new owner in the background", "next": next_step}


_READ = (
    "Text in pages. change: all of the run; files: its files; diff: of `attempt`; log: of the run, `attempt`, "
    "or gate `name`; brief: its agent's; artifact: document `name`; records: are handoffs signed and true."
)
_GET_RUN = (
    "A run: phase, who must act, why, next step. Default: the unfinished or newest. `run`: an id, its "
    "start or end, or @ (newest). `wait_s` (to 600): wait while at work."
)
TOOLS = (
    Tool(list_pipelines, "Pipelines; of one (name or file) all mistakes.", READS, documents.PIPELINES),
    Tool(check, "Run a stage's gates (default: all) on the working tree.", RUNS_GATES, documents.CHECKED),
    Tool(
        start_run,
        "Start a run in the background. `base`: a commit or worktree. `until`: last stage.",
        BEGINS,
        documents.STARTED,
        where={"task": "say what is to be done"},
    ),
    Tool(list_runs, "Newest runs, those first that need a person.", READS, documents.RUNS),
    Tool(get_run, _GET_RUN, READS, documents.RUN),
    Tool(
        get_attempt,
        "Verdicts on an attempt (code/1.2; code: its newest), with findings; of one `gate` all.",
        READS,
        documents.ATTEMPT,
        where={**_RUN, "attempt": "call `get_run` for the stages; a stage stands for its newest attempt"},
    ),
    Tool(read, _READ, READS, where={**_RUN, "what": f"one of {', '.join(get_args(What))}"}),
)
ANSWER = Tool(
    answer,
    "Answer for a person: approve or reject (`comment`) the `attempt` you read. `now`: retry ends work.",
    DECIDES,
    documents.ANSWERED,
    where={**_RUN, "action": f"one of {', '.join(get_args(Verb))}"},
)
FORMER = {
    "validate_pipeline": "list_pipelines",
    "wait_run": "get_run",
    "get_stage": "get_attempt",
    "get_verdicts": "get_attempt",
    **dict.fromkeys(("get_diff", "read_log", "get_brief", "get_artifact"), "read"),
}


def page(text: str, offset: int) -> str:
    """One page of `text` from character `offset` on (below 0: from the end). Where there are more, its first line says
    which."""
    total = len(text)
    start = max(0, total + offset) if offset < 0 else min(offset, total)
    end = min(total, start + PAGE)
    if (start, end) == (0, total):
        return text
    rest = f"the next page is offset={end}" if end < total else "the end"
    return f"[characters {start} to {end} of {total}: {rest}]\n{text[start:end]}"


def artifact(program: Program, run: str, subject: str, file: str) -> str:
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
        if is_withheld(app.workspaces, view, commit, folder + file):
            raise ToolError(f"{subject}: {file} holds a secret that was handed out, and is not shown: see its findings")
        return plain(content.decode("utf-8", "replace"), _ARTIFACT_BYTES_MAX) + "\n" * content.endswith(b"\n")


async def _run(program: Program, run: str) -> dict[str, Any]:
    shown = await program.document("status", "--json", *(["--", run] if run else []))
    found = shown.get("run")
    if not isinstance(found, dict):
        raise ToolError("no such run: `list_runs` shows those there are")
    return found


def _needed(what: str, argument: str, value: str) -> str:
    if not value:
        raise ToolError(f'`read` with what="{what}" needs `{argument}`: call `get_run` for the stages')
    return value


def _answer(program: Program, run: str, given: tuple[Verb, str, str, str, str, bool]) -> tuple[str, str]:
    """The id of the run, and the process that drives or follows it."""
    action, attempt, stage, gate, comment, now = given
    with program.application() as app:
        view = app.service.describe_run(app.service.latest_run(run).id)
        if attempt:
            _check_attempt(view, action, attempt)
        stage, subject = stage or attempt.partition("/")[0], attempt if action in _DECISIONS else ""
        by = f"{app.person()} (MCP)"
        request = AnswerRequest(Action(action), by, stage, subject, gate, comment, now=now)
        app.service.answer(view, request)
        return view.id, app.service.follower_of(view.id)


def _check_attempt(view: RunView, action: Verb, attempt: str) -> None:
    """Raises ToolError if the run has moved on from what the agent read. What nothing waits for, the service says."""
    if action in _DECISIONS:
        current = [wait.subject for wait in view.waits if wait.reason == "approval"]
    else:
        stages = [one.attempts for one in view.stages if one.id == attempt.partition("/")[0]]
        current = [str(attempts[-1].id) for attempts in stages if attempts]
    if current and attempt not in current:
        now_is = f"{', '.join(current)} {'waits' if action in _DECISIONS else 'is the newest'} now"
        raise ToolError(f"nothing was recorded for {attempt}: {now_is}; `read` it, and `get_run`, before you answer")
