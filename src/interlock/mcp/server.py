"""The servers: one for a repository, with tools, resources and prompts; and one for an agent in a stage, with one tool.

Rule: answers for people are off unless the server was started with them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from interlock import __version__
from interlock.execution.rehearsal import decode_rehearsal
from interlock.mcp import documents, tools
from interlock.mcp.tool import (
    RUNS_GATES,
    Document,
    Tool,
    ToolError,
    arguments,
    as_text,
    cleaned,
    listed,
    nearest,
    refused,
    result,
)
from interlock.mcp.tools import CHECK_S, Program
from interlock.text.cleaning import clean

_FINDINGS_MAX = 20  # of a gate, for an agent in a stage
_CHARACTERS_MAX = 4_000  # of a finding
_INSTRUCTIONS = """\
Interlock runs pipelines of stages. A stage's candidate is accepted only when every gate passed on exactly that tree;
what an agent says of its own work counts for nothing. Call list_pipelines, then start_run, then get_run with wait_s:
its `next` says which tool comes next. Where who_acts is `person`, tell them what it waits for, with its commands."""

_RUN_URI = re.compile(r"run://([^/]+)")
_ARTIFACT_URI = re.compile(r"artifact://([^/]+)/([^/]+)/([^/]+)")
_TEMPLATES = (
    types.ResourceTemplate(
        name="run", uri_template="run://{run}", description="Where a run is.", mime_type="application/json"
    ),
    types.ResourceTemplate(
        name="artifact",
        uri_template="artifact://{run}/{stage}/{file}",
        description="An accepted document.",
        mime_type="text/plain",
    ),
)
_PROMPTS = (
    types.Prompt(
        name="work_under_interlock",
        description="How to have a task done by a pipeline.",
        arguments=[types.PromptArgument(name="task", required=True)],
    ),
    types.Prompt(
        name="mend_a_rejection",
        description="How to find out why a stage was rejected.",
        arguments=[types.PromptArgument(name=name, required=True) for name in ("run", "stage")],
    ),
)

Context = ServerRequestContext[dict[str, Any]]
_ListTools = Callable[[Context, types.PaginatedRequestParams | None], Awaitable[types.ListToolsResult]]
_CallTool = Callable[[Context, types.CallToolRequestParams], Awaitable[types.CallToolResult]]


def mcp_server(folder: Path, environ: Mapping[str, str], *, allow_answers: bool = False) -> Server[dict[str, Any]]:
    """A server for the repository around `folder`. With `allow_answers` an agent may approve, reject, retry and cancel
    in the name of the person who started the server."""
    program = Program(folder, environ, answers=allow_answers)

    async def list_templates(_: Context, __: object) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=list(_TEMPLATES))

    async def list_resources(_: Context, __: object) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[])

    async def read_resource(_: Context, given: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return await _read_resource(program, str(given.uri))

    async def list_prompts(_: Context, __: object) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=list(_PROMPTS))

    async def get_prompt(_: Context, given: types.GetPromptRequestParams) -> types.GetPromptResult:
        return _prompt(given.name, given.arguments or {})

    offered = (*tools.TOOLS, tools.ANSWER) if allow_answers else tools.TOOLS
    list_tools, call_tool = _handlers(program, offered)
    return Server(
        "interlock",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )


def checking_server(folder: Path, environ: Mapping[str, str], rehearsal: Path) -> Server[dict[str, Any]]:
    """A server for an agent in a stage, whose checkout is around `folder`: one tool, which asks the gates of the file
    `rehearsal`."""
    left_out = decode_rehearsal(rehearsal.read_text(encoding="utf-8")).left_out

    async def check(program: Program) -> Document:
        found = await program.document("check", "--json", f"--inside={rehearsal}", timeout_s=CHECK_S)
        return _told_inside(found, left_out)

    about = "Ask the gates of your stage about the files as they are now; each that failed has findings to fix."
    list_tools, call_tool = _handlers(Program(folder, environ), (Tool(check, about, RUNS_GATES, documents.CHECKED),))
    return Server("interlock", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool)


def serve_stdio(server: Server[dict[str, Any]]) -> None:
    """Serves one client on standard input and output until it is gone."""

    async def serve() -> None:
        async with stdio_server() as (received, sent):
            await server.run(received, sent, server.create_initialization_options())

    anyio.run(serve)


def _handlers(program: Program, offered: Sequence[Tool]) -> tuple[_ListTools, _CallTool]:
    logging.getLogger("mcp").setLevel(logging.ERROR)
    known = {tool.name: tool for tool in offered}

    async def list_tools(_: Context, __: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[listed(tool) for tool in offered])

    async def call_tool(context: Context, given: types.CallToolRequestParams) -> types.CallToolResult:
        async def report(step: int, message: str) -> None:
            await context.session.report_progress(step, message=message)

        try:
            tool = _named(known, given.name)
            taken = arguments(tool, given.arguments or {})
            return result(await tool.call(replace(program, report=report), **taken))
        except ToolError as error:
            return refused(error)

    return list_tools, call_tool


def _named(known: Mapping[str, Tool], name: str) -> Tool:
    """Raises ToolError that names the tool that was probably meant."""
    if name in known:
        return known[name]
    meant = tools.FORMER.get(name, "") or nearest(name, known)
    if meant in known:
        raise ToolError(f"there is no tool `{name}`: call `{meant}`")
    if name == tools.ANSWER.name:
        raise ToolError("agents may not answer here: tell a person, or have the server started with --allow-answers")
    raise ToolError(f"there is no tool `{name}`: there are {', '.join(known)}")


# --- resources and prompts --------------------------------------------------------------------------


async def _read_resource(program: Program, uri: str) -> types.ReadResourceResult:
    try:
        if found := _RUN_URI.fullmatch(uri):
            document = await tools.get_run(program, unquote(found[1]))
            text, kind = as_text(cleaned(document)), "application/json"
        elif found := _ARTIFACT_URI.fullmatch(uri):
            run, stage, file = (unquote(part) for part in found.groups())
            text, kind = await anyio.to_thread.run_sync(tools.artifact, program, run, stage, file), "text/plain"
        else:
            known = ", ".join(template.uri_template for template in _TEMPLATES)
            raise MCPError(types.INVALID_PARAMS, f"there is no resource {uri}: there are {known}")
    except ToolError as error:
        raise MCPError(types.INVALID_PARAMS, clean(str(error))) from error
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=kind, text=text)])


def _prompt(name: str, given: Mapping[str, str]) -> types.GetPromptResult:
    prompt = next((one for one in _PROMPTS if one.name == name), None)
    if prompt is None:
        known = ", ".join(one.name for one in _PROMPTS)
        raise MCPError(types.INVALID_PARAMS, f"there is no prompt {name}: there are {known}")
    if missing := [one.name for one in prompt.arguments or () if not given.get(one.name)]:
        raise MCPError(types.INVALID_PARAMS, f"the prompt {name} needs {', '.join(missing)}")
    if name == "work_under_interlock":
        rule = "Have this done, and do not report it as done unless the run's phase is `accepted`:"
        text = f"{_INSTRUCTIONS}\n\n{rule}\n\n{given['task']}"
    else:
        run, stage = given["run"], given["stage"]
        text = (
            f"Find out why stage {stage} of run {run} was rejected: call get_attempt with attempt={stage}, then "
            "read with what=diff or what=log where a finding needs it. Say what is wrong, where, and what would fix "
            "it. Do not change the gates or what is protected."
        )
    message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.GetPromptResult(description=prompt.description, messages=[message])


# --- the server for an agent in a stage ------------------------------------------------------------


def _told_inside(found: Document, left_out: tuple[str, ...]) -> Document:
    gates = [_gate(one) for one in found["gates"]]
    undecided = [one["gate"] for one in gates if one["status"] == "errored"]
    failed = any(one["status"] == "failed" for one in gates)
    next_step = _next_step([] if failed else undecided, left_out, failed=failed)
    return {"passed": bool(found["passed"]), "gates": gates, "next": next_step, "asked_later": list(left_out)}


def _gate(shown: Document) -> Document:
    findings = (shown.get("judgement") or {}).get("findings") or []
    told = {"gate": shown["gate"], "status": shown["status"], "skipped": shown["skipped"]}
    rest = len(findings) - _FINDINGS_MAX
    told |= {"findings": [_finding(one) for one in findings[:_FINDINGS_MAX]]}
    told |= {"more": f"{rest} more: fix these first" if rest > 0 else ""}
    return {name: value for name, value in told.items() if value}


def _finding(shown: Document) -> Document:
    told = {**shown, "message": str(shown.get("message", ""))[:_CHARACTERS_MAX]}
    return {name: value for name, value in told.items() if value}


def _next_step(undecided: list[str], left_out: tuple[str, ...], *, failed: bool) -> str:
    if failed:
        return "fix what did not pass, then call check again"
    later = f"; {', '.join(left_out)} will judge too" if left_out else ""
    if undecided:
        return f"end your work: {', '.join(undecided)} errored, which is no fault of your files{later}"
    return f"end your work: these gates have nothing against it{later}"
