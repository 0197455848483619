"""The client of an agent that speaks the Agent Client Protocol: it starts the agent as a child process, sends it the
brief, and answers its requests for permission by the write scope of the stage."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import acp
from acp import schema

from interlock.agents.bundled import Result, print_event, print_result, read_config
from interlock.core.events import Usage
from interlock.text.globs import matches_any

_LINE_MAX = 50_000_000  # bytes of one message
_READS = frozenset({"read", "search", "think", "fetch", "switch_mode"})
_WRITES = frozenset({"edit", "delete", "move"})
# Some agents report success at the end of a turn, and print the endpoint's error as chat.
_ERRORS = re.compile(
    r"Ran into this error: .+|\[API Error: .+\](?:\n[^\n]+)?|API Error: (?:[^\n]|\n(?!\n))+"
    r"|unexpected status \d{3}\b.*",
    re.S,
)
_ERROR_MAX = 2_000  # letters
_AUTH_REQUIRED = -32000
_ASKING = "default"  # the mode in which an agent asks for permission; some begin in one that decides by itself
_POLLS_MAX, _POLL_S = 20, 0.05


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a stage may change. `tree` is the checkout's root, resolved. `writes` None allows all but `protect`."""

    tree: Path
    writes: tuple[str, ...] | None
    authors: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    documents: str = ""  # the folder of the stage's artifacts, relative to the root
    reviews: bool = False

    def may_change(self, path: str) -> bool:
        """Whether a file may be written, by the rules of the scope gate, which judges again."""
        real = (self.tree / path).resolve()
        if self.reviews or not real.is_relative_to(self.tree):
            return False
        name = str(real.relative_to(self.tree))
        if self.documents and name.startswith(f"{self.documents}/"):
            return True
        if name == ".git" or name.startswith((".git/", ".interlock/")):
            return False
        if matches_any(self.authors, name):
            return True
        return not matches_any(self.protect, name) and (self.writes is None or matches_any(self.writes, name))

    def allows(self, kind: str, paths: Sequence[str]) -> bool:
        """Whether a tool call is allowed. A request does not show what a command does: gates judge the result."""
        if kind in _READS:
            return True
        if self.reviews:
            return False
        return kind not in _WRITES or all(self.may_change(path) for path in paths)


@dataclass(slots=True)
class Client:
    """Implements acp.Client. `message` is the agent's newest message in parts, `cost_usd` the cost of the whole
    session as it reports it."""

    bounds: Bounds
    cost_usd: float | None = None
    message: list[str] = field(default_factory=list)
    kinds: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    context: int = 0  # tokens in its context, as last reported

    async def request_permission(
        self, session_id: str, tool_call: schema.ToolCallUpdate, options: list[schema.PermissionOption], **more: object
    ) -> schema.RequestPermissionResponse:
        kind, paths = self._call(tool_call)
        allowed = self.bounds.allows(kind, paths)
        print_event("permission", of=kind, paths=paths, allowed=allowed)
        wanted = ("allow_once", "allow_always") if allowed else ("reject_once", "reject_always")
        chosen = next((option for name in wanted for option in options if option.kind == name), None)
        if chosen is None:
            return schema.RequestPermissionResponse(outcome=schema.DeniedOutcome(outcome="cancelled"))
        outcome = schema.AllowedOutcome(outcome="selected", option_id=chosen.option_id)
        return schema.RequestPermissionResponse(outcome=outcome)

    async def session_update(self, session_id: str, update: Any, **more: object) -> None:  # noqa: ANN401
        fields = update.model_dump(by_alias=True, exclude_none=True, mode="json")
        print_event("update", **{name: value for name, value in fields.items() if name != "type"})
        if isinstance(update, schema.AgentMessageChunk):
            self.message.append(getattr(update.content, "text", ""))
        elif isinstance(update, schema.ToolCallStart | schema.ToolCallProgress):
            if isinstance(update, schema.ToolCallStart):
                self.message.clear()
            self._call(update)
        elif isinstance(update, schema.UsageUpdate):
            self.context = update.used
            if update.cost is not None and update.cost.currency == "USD":
                self.cost_usd = update.cost.amount

    async def write_text_file(self, session_id: str, path: str, content: str, **more: object) -> None:
        if not self.bounds.may_change(path):
            raise acp.RequestError.invalid_params({"path": path, "why": "the stage may not change this file"})
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **more: object
    ) -> schema.ReadTextFileResponse:
        real = Path(path).resolve()
        if not real.is_relative_to(self.bounds.tree) or not real.is_file():
            raise acp.RequestError.invalid_params({"path": path, "why": "no such file in the checkout"})
        lines = real.read_text("utf-8", "replace").splitlines(keepends=True)
        start = (line or 1) - 1
        return schema.ReadTextFileResponse(content="".join(lines[start : start + limit if limit else None]))

    def on_connect(self, conn: object) -> None:
        """Nothing to do."""

    def _call(self, call: Any) -> tuple[str, tuple[str, ...]]:  # noqa: ANN401
        """Kind and paths of a call, from its updates so far."""
        kind, paths = self.kinds.get(call.tool_call_id, ("", ()))
        found = [location.path for location in call.locations or ()]
        found += [part.path for part in call.content or () if isinstance(part, schema.FileEditToolCallContent)]
        self.kinds[call.tool_call_id] = (call.kind or kind, tuple(dict.fromkeys((*paths, *found))))
        return self.kinds[call.tool_call_id]


def main() -> None:
    config = read_config()
    try:
        asyncio.run(_run(config))
    except (OSError, EOFError) as error:
        print_result(_lost(error))


async def _run(config: Mapping[str, object]) -> None:
    bounds = _bounds(config)
    client = Client(bounds)
    command = [str(word) for word in cast(list[object], config["command"])]
    spawned = acp.spawn_agent_process(
        cast(acp.Client, client), command[0], *command[1:], env=dict(os.environ), cwd=str(config["cwd"]),
        transport_kwargs={"stderr": None, "limit": _LINE_MAX},
    )  # fmt: skip
    async with spawned as (connection, _):
        try:
            result = await _prompt(config, client, connection)
        except acp.RequestError as error:
            result = Result(trouble=f"{error} {error.data or ''}".strip()[:2_000], status=_status_of(error))
        except (OSError, EOFError) as error:
            result = _lost(error)
        print_result(replace(result))
        os._exit(0)  # servers of the agent may keep its output open forever; our supervisor ends them


def endpoint_error(message: str) -> str:
    """The last message of an agent if all of it is an error of the endpoint. A summary of work on errors is not."""
    return message if len(message) <= _ERROR_MAX and _ERRORS.fullmatch(message.strip()) else ""


def _lost(error: Exception) -> Result:
    print_event("lost", why=str(error))
    return Result(trouble="the agent ended before it answered")


async def _prompt(config: Mapping[str, object], client: Client, connection: Any) -> Result:  # noqa: ANN401
    session = await _session(connection, str(config["cwd"]), _servers(config))
    blocks: list[Any] = [acp.text_block(str(config["text"]))]
    answer = await connection.prompt(prompt=blocks, session_id=session)
    for _ in range(_POLLS_MAX):  # its last message may come after its answer
        if client.message:
            break
        await asyncio.sleep(_POLL_S)
    message = "".join(client.message)
    error = endpoint_error(message)
    refused = answer.stop_reason == "refusal"
    done = (answer.stop_reason == "end_turn" and not error) or refused
    trouble = error if error or done else f"the agent stopped: {answer.stop_reason}"
    return Result(
        done, refused, message, trouble, usage=_usage(answer, client), session=session, begun=bool(client.kinds)
    )


async def _session(connection: Any, cwd: str, servers: list[Any]) -> str:  # noqa: ANN401
    """A new session. If the agent requires a login, it logs in with the key in its environment."""
    files = schema.FileSystemCapabilities(read_text_file=True, write_text_file=True)
    begun = await connection.initialize(
        protocol_version=acp.PROTOCOL_VERSION, client_capabilities=schema.ClientCapabilities(fs=files, terminal=False)
    )
    try:
        made = await connection.new_session(cwd=cwd, mcp_servers=servers)
    except acp.RequestError as error:
        known = [method.id for method in begun.auth_methods or ()]
        key = next((name for name in known if "key" in name.lower()), "")
        if error.code != _AUTH_REQUIRED or not key:
            raise
        await connection.authenticate(method_id=key)
        made = await connection.new_session(cwd=cwd, mcp_servers=servers)
    modes = [mode.id for mode in made.modes.available_modes] if made.modes is not None else []
    if _ASKING in modes:
        await connection.set_session_mode(mode_id=_ASKING, session_id=made.session_id)
    return str(made.session_id)


def _servers(config: Mapping[str, object]) -> list[Any]:
    given = cast(list[dict[str, str]], config["servers"])
    return [schema.McpServerStdio(name=one["name"], command=one["command"], args=[], env=[]) for one in given]


def _bounds(config: Mapping[str, object]) -> Bounds:
    writes = cast(list[str] | None, config["writes"])
    return Bounds(
        Path(str(config["tree"])).resolve(),
        None if writes is None else tuple(writes),
        tuple(cast(list[str], config["authors"])),
        tuple(cast(list[str], config["protect"])),
        str(config["documents"]),
        bool(config["reviews"]),
    )


def _usage(answer: schema.PromptResponse, client: Client) -> Usage:
    """Some agents include cached tokens in the input, others do not: the total tells which. The usage is unknown if it
    may be that of the last call only: a turn with tools has several calls, and their sum exceeds the context."""
    used = answer.usage
    if used is None or not used.total_tokens or (client.kinds and not 0 < client.context < used.total_tokens):
        return Usage(cost_usd=client.cost_usd)
    tokens_in = max(used.input_tokens, used.total_tokens - used.output_tokens - (used.thought_tokens or 0))
    return Usage(tokens_in, used.output_tokens, used.cached_read_tokens, client.cost_usd)


def _status_of(error: acp.RequestError) -> int:
    return 401 if error.code == _AUTH_REQUIRED else 0


if __name__ == "__main__":
    main()
