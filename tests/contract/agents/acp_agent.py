"""An agent that speaks the Agent Client Protocol, for tests: it does what the marker in its prompt says."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import acp
from acp import schema


class Agent:
    def __init__(self) -> None:
        self.cwd = Path()
        self.client: Any = None
        self.mode = "auto"

    def on_connect(self, conn: Any) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, **more: Any) -> schema.InitializeResponse:
        return schema.InitializeResponse(protocol_version=protocol_version)

    async def new_session(self, cwd: str, **more: Any) -> schema.NewSessionResponse:
        self.cwd = Path(cwd)
        known = [schema.SessionMode(id=mode, name=mode) for mode in ("auto", "default")]
        modes = schema.SessionModeState(current_mode_id=self.mode, available_modes=known)
        return schema.NewSessionResponse(session_id="session-1", modes=modes)

    async def set_session_mode(self, mode_id: str, session_id: str, **more: Any) -> None:
        self.mode = mode_id

    async def prompt(self, prompt: list[Any], session_id: str, **more: Any) -> schema.PromptResponse:
        name = re.findall(r"SCENARIO:([a-z-]+)", prompt[0].text)[-1]
        stop = await getattr(self, "mode_" if name == "mode" else name)(session_id) or "end_turn"
        usage = schema.Usage(total_tokens=120, input_tokens=100, output_tokens=20, cached_read_tokens=30)
        return schema.PromptResponse(stop_reason=stop, usage=usage)

    async def edit(self, session: str) -> None:
        path = str(self.cwd / "a.txt")
        await self._say(session, "I begin.")
        call = schema.ToolCallStart(tool_call_id="1", title="edit", kind="edit", session_update="tool_call")
        await self.client.session_update(session_id=session, update=call)
        spent = schema.UsageUpdate(
            used=120, size=1000, cost=schema.Cost(amount=0.25, currency="USD"), session_update="usage_update"
        )
        await self.client.session_update(session_id=session, update=spent)
        if await self._permitted(session, "edit", path):
            await self.client.write_text_file(session_id=session, path=path, content="two\n")
        await self._holds(session, 70)
        await self._say(session, "All done.")

    async def last(self, session: str) -> None:
        """As some agents do: the usage at the end is that of the last call only."""
        await self.edit(session)
        await self._holds(session, 120)

    async def sneak(self, session: str) -> None:
        """Asks, is denied, tries anyway, and reports the result."""
        said = []
        for path in ("protected.txt", "../outside.txt", ".git/config", ".interlock/x"):
            permitted = await self._permitted(session, "edit", str(self.cwd / path))
            try:
                await self.client.write_text_file(session_id=session, path=str(self.cwd / path), content="x")
                said.append(f"{path} {permitted} written")
            except acp.RequestError:
                said.append(f"{path} {permitted} refused")
        await self._say(session, "; ".join(said))

    async def shell(self, session: str) -> None:
        await self._say(session, f"run: {await self._permitted(session, 'execute', '')}")

    async def mode_(self, session: str) -> None:
        await self._say(session, self.mode)

    async def nothing(self, session: str) -> None:
        await self._say(session, "All done.")

    async def look(self, session: str) -> None:
        """Lists the top of the checkout."""
        await self._say(session, " ".join(sorted(path.name for path in self.cwd.iterdir())))

    async def refuse(self, session: str) -> str:
        await self._say(session, "I will not do that.")
        return "refusal"

    async def long(self, session: str) -> str:
        return "max_tokens"

    async def lie(self, session: str) -> None:
        await self._say(session, "Ran into this error: Rate limit exceeded. Status: 429 Too Many Requests")

    async def fail(self, session: str) -> None:
        raise acp.RequestError(-32603, "Internal error", {"details": "status 503 service unavailable"})

    async def key(self, session: str) -> None:
        raise acp.RequestError(-32000, "Authentication required")

    async def crash(self, session: str) -> None:
        sys.exit(3)

    async def hang(self, session: str) -> None:
        await asyncio.sleep(1000)

    async def cancel(self, session_id: str, **more: Any) -> None: ...

    async def _holds(self, session: str, tokens: int) -> None:
        update = schema.UsageUpdate(session_update="usage_update", used=tokens, size=1000)
        await self.client.session_update(session_id=session, update=update)

    async def _say(self, session: str, words: str) -> None:
        await self.client.session_update(session_id=session, update=acp.update_agent_message_text(words))

    async def _permitted(self, session: str, kind: str, path: str) -> bool:
        locations = [schema.ToolCallLocation(path=path)] if path else []
        call = schema.ToolCallUpdate(tool_call_id="1", kind=kind, title="work", locations=locations)
        options = [
            schema.PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
            schema.PermissionOption(option_id="no", name="No", kind="reject_once"),
        ]
        answer = await self.client.request_permission(session_id=session, tool_call=call, options=options)
        return getattr(answer.outcome, "option_id", "") == "yes"


if __name__ == "__main__":
    asyncio.run(acp.run_agent(Agent()))
