"""The client of an agent that speaks the Agent Client Protocol: it starts the agent below itself, hands it the brief,
and answers its requests for permission by what the stage may write."""

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

from interlock.agents.bundled.results import Result, print_event, print_result, read_config
from interlock.core.events import Usage
from interlock.core.globs import matches_any

_LINE_MAX = 50_000_000  # bytes of one message
_LOOKS = frozenset({"read", "search", "think", "fetch", "switch_mode"})
_CHANGES = frozenset({"edit", "delete", "move"})
# Agents that say at the end of a turn that all went well, and tell the endpoint's error as chat.
_ERRORS = re.compile(
    r"Ran into this error: .+|\[API Error: .+\](?:\n[^\n]+)?|API Error: (?:[^\n]|\n(?!\n))+"
    r"|unexpected status \d{3}\b.*",
    re.S,
)
_ERROR_MAX = 2_000  # letters
_AUTH_REQUIRED = -32000
_ASKING = "default"  # the mode in which an agent asks for what it does: claude begins in one that decides by itself
_LOOKS_MAX, _LOOK_S = 20, 0.05


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a stage may change. `tree` is the checkout's root, resolved; `writes` None is all but `protect`."""

    tree: Path
    writes: tuple[str, ...] | None
    authors: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    documents: str = ""  # the folder of the stage's own, from the root
    reviews: bool = False

    def may_change(self, path: str) -> bool:
        """Whether a file may be written, by the same rules as the scope gate, which judges again."""
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
        """Whether a call of a tool may go on. What it runs cannot be told from its request: gates judge what it did."""
        if kind in _LOOKS:
            return True
        if self.reviews:
            return False
        return kind not in _CHANGES or all(self.may_change(path) for path in paths)


@dataclass(slots=True)
class Client:
    """Implements acp.Client. `said` is the agent's newest message, `cost_usd` what it tells of the whole session."""

    bounds: Bounds
    cost_usd: float | None = None
    said: list[str] = field(default_factory=list)
    kinds: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    context: int = 0  # tokens in it, as it told last

    async def request_permission(
        self, session_id: str, tool_call: schema.ToolCallUpdate, options: list[schema.PermissionOption], **more: object
    ) -> schema.RequestPermissionResponse:
        kind, paths = self._about(tool_call)
        allowed = self.bounds.allows(kind, paths)
        print_event("permission", of=kind, paths=paths, allowed=allowed)
        wanted = ("allow_once", "allow_always") if allowed else ("reject_once", "reject_always")
        chosen = next((option for name in wanted for option in options if option.kind == name), None)
        if chosen is None:
            return schema.RequestPermissionResponse(outcome=schema.DeniedOutcome(outcome="cancelled"))
        outcome = schema.AllowedOutcome(outcome="selected", option_id=chosen.option_id)
        return schema.RequestPermissionResponse(outcome=outcome)

    async def session_update(self, session_id: str, update: Any, **more: object) -> None:  # noqa: ANN401
        told = update.model_dump(by_alias=True, exclude_none=True, mode="json")
        print_event("update", **{name: value for name, value in told.items() if name != "type"})
        if isinstance(update, schema.AgentMessageChunk):
            self.said.append(getattr(update.content, "text", ""))
        elif isinstance(update, schema.ToolCallStart | schema.ToolCallProgress):
            if isinstance(update, schema.ToolCallStart):
                self.said.clear()
            self._about(update)
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

    def _about(self, call: Any) -> tuple[str, tuple[str, ...]]:  # noqa: ANN401
        """Kind and paths of a call, from what was told of it by now."""
        kind, paths = self.kinds.get(call.tool_call_id, ("", ()))
        places = [place.path for place in call.locations or ()]
        places += [part.path for part in call.content or () if isinstance(part, schema.FileEditToolCallContent)]
        self.kinds[call.tool_call_id] = (call.kind or kind, tuple(dict.fromkeys((*paths, *places))))
        return self.kinds[call.tool_call_id]


def main() -> None:
    config = read_config()
    try:
        asyncio.run(_worked(config))
    except (OSError, EOFError) as error:
        print_result(_lost(error))


async def _worked(config: Mapping[str, object]) -> None:
    bounds = _bounds(config)
    client = Client(bounds)
    command = [str(word) for word in cast(list[object], config["command"])]
    spawned = acp.spawn_agent_process(
        cast(acp.Client, client), command[0], *command[1:], env=dict(os.environ), cwd=str(config["cwd"]),
        transport_kwargs={"stderr": None, "limit": _LINE_MAX},
    )  # fmt: skip
    async with spawned as (connection, _):
        try:
            result = await _asked(config, client, connection)
        except acp.RequestError as error:
            result = Result(trouble=f"{error} {error.data or ''}".strip()[:2_000], status=_status_of(error))
        except (OSError, EOFError) as error:
            result = _lost(error)
        print_result(replace(result))
        os._exit(0)  # an agent's own servers may keep its output open for good; who started us ends them all


def endpoint_error(said: str) -> str:
    """What an agent said last, where all of it is an error of the endpoint: a summary of work on errors is none."""
    return said if len(said) <= _ERROR_MAX and _ERRORS.fullmatch(said.strip()) else ""


def _lost(error: Exception) -> Result:
    print_event("lost", why=str(error))
    return Result(trouble="the agent went away before it had answered")


async def _asked(config: Mapping[str, object], client: Client, connection: Any) -> Result:  # noqa: ANN401
    session = await _session(connection, str(config["cwd"]), _servers(config))
    blocks: list[Any] = [acp.text_block(str(config["text"]))]
    answer = await connection.prompt(prompt=blocks, session_id=session)
    for _ in range(_LOOKS_MAX):  # what it said last may come after its answer
        if client.said:
            break
        await asyncio.sleep(_LOOK_S)
    said = "".join(client.said)
    wrong = endpoint_error(said)
    refused = answer.stop_reason == "refusal"
    done = (answer.stop_reason == "end_turn" and not wrong) or refused
    trouble = wrong if wrong or done else f"the agent stopped: {answer.stop_reason}"
    return Result(done, refused, said, trouble, usage=_usage(answer, client), session=session, begun=bool(client.kinds))


async def _session(connection: Any, cwd: str, servers: list[Any]) -> str:  # noqa: ANN401
    """A new session; where it asks to log in first, with the key that it was given."""
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
    """Some count what came from a cache among the input, others beside it: the total tells. Unknown where it may be of
    the last call alone: a turn with tools had more than one, and their sum is more than what the context holds."""
    used = answer.usage
    if used is None or not used.total_tokens or (client.kinds and not 0 < client.context < used.total_tokens):
        return Usage(cost_usd=client.cost_usd)
    tokens_in = max(used.input_tokens, used.total_tokens - used.output_tokens - (used.thought_tokens or 0))
    return Usage(tokens_in, used.output_tokens, used.cached_read_tokens, client.cost_usd)


def _status_of(error: acp.RequestError) -> int:
    return 401 if error.code == _AUTH_REQUIRED else 0


if __name__ == "__main__":
    main()
