"""What the model does, in neutral steps, and how these become calls of the tools that a program has.

Rule: the scenario comes from the marker `SCENARIO:name` in the newest message of the user that has one, the step
from the tool-call ids of the conversation. So the server keeps no state between requests.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

IN_SECONDS = re.compile(r'"in (\d+) s"')
MARKER = re.compile(r"SCENARIO:([a-z0-9_-]+)")
LINE_END = re.compile(r"\n|\\n")  # of text, or of text in JSON
CALL = re.compile(r"call_il(\d+)_")
FAULTS = frozenset({"status", "hang", "stall", "cut", "short", "early", "garbage"})
_SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


@dataclass(frozen=True, slots=True)
class Step:
    """`kind` is shell, edit, write, structured, say, refuse (in words of the model), filter (by the provider), tool
    (`path` names it, `text` is its JSON), or a fault. A stream that is `cut` ends within an event, one that falls
    `short` between two of them; one that is `early` does so, too, but ends in order."""

    kind: str
    text: str = ""  # the command, the content, what is said, the body of a fault (see `told_now`)
    path: str = ""
    old: str = ""
    code: int = 0
    times: int = 0  # of a fault: it happens so often, then never again; 0 is always
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    share: float = 0.0  # of a stream that does not come whole: how much of it comes; 0 is its first piece


@dataclass(frozen=True, slots=True)
class Request:
    """What any of the four languages asks."""

    api: str
    model: str
    newest: str  # of the user, with the marker
    everything: str  # the whole body as text
    tools: frozenset[str]
    asks_usage: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Either text, or one call of a tool."""

    text: str = ""
    tool: str = ""
    call: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)
    refused: bool = False
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """One answer that was given in full. `tokens_in` includes the cached ones."""

    scenario: str
    model: str
    tokens_in: int
    tokens_out: int
    tokens_cached: int


def told_now(text: str) -> str:
    """`text` with each "in N s" made the time N seconds from now, in seconds since the epoch."""
    return IN_SECONDS.sub(lambda found: str(int(time.time()) + int(found[1])), text)


def scenario_of(request: Request) -> str:
    """What a patch in the message adds or takes away counts only where nothing else has a marker."""
    lines = [line for line in LINE_END.split(request.newest) if not line.startswith(("+", "-"))]
    found = next(filter(None, map(MARKER.findall, ("\n".join(lines), request.newest, request.everything))), [])
    return found[-1] if found else ""


def number_of(request: Request) -> int:
    """Of the step that is due, from 0."""
    return max((int(number) + 1 for number in CALL.findall(request.everything)), default=0)


def reply(request: Request, step: Step, number: int) -> Reply:
    """The step in the words of the program that asks."""
    if not request.tools:
        return _without_tools(request, step)
    if step.kind in ("say", "refuse", "filter", "structured"):
        return _said(request, step, number)
    tool, arguments = (step.path, json.loads(step.text)) if step.kind == "tool" else _tool(request.tools, step)
    return Reply(tool=tool, call=f"call_il{number}_{tool}", arguments=arguments)


def _said(request: Request, step: Step, number: int) -> Reply:
    if step.kind == "structured" and "StructuredOutput" in request.tools:
        done = f"call_il{number}_StructuredOutput"
        return Reply(tool="StructuredOutput", call=done, arguments=json.loads(step.text))
    submits = "COMPLETE_TASK_AND_SUBMIT" in request.everything and "bash" in request.tools
    if submits and step.kind in ("say", "structured"):
        command = _SUBMIT if step.kind == "say" else f"{_SUBMIT}; printf %s {shlex.quote(step.text)}"
        return Reply(tool="bash", call=f"call_il{number}_bash", arguments={"command": command})
    return Reply(text=step.text, refused=step.kind == "refuse", filtered=step.kind == "filter")


def _without_tools(request: Request, step: Step) -> Reply:
    if step.kind in ("edit", "write") and "SEARCH/REPLACE" in request.everything:
        block = f"<<<<<<< SEARCH\n{step.old}=======\n{step.text}>>>>>>> REPLACE"
        return Reply(f"Here it is.\n\n{step.path}\n```\n{block}\n```\n")
    if step.kind not in ("say", "refuse", "filter", "structured"):
        return Reply("A title")
    return Reply(step.text, refused=step.kind == "refuse", filtered=step.kind == "filter")


def _tool(tools: frozenset[str], step: Step) -> tuple[str, dict[str, object]]:
    if step.kind == "write" and "Write" in tools and step.path.startswith("/"):
        return "Write", {"file_path": step.path, "content": step.text}
    command = _command(step)
    for name, arguments in _shells(command).items():
        if name in tools:
            return name, arguments
    raise ValueError(f"no shell among the tools {sorted(tools)}")


def _command(step: Step) -> str:
    if step.kind == "write":
        return f"printf %s {shlex.quote(step.text)} > {shlex.quote(step.path)}"
    if step.kind == "edit":
        program = "import sys,pathlib;p,o,n=sys.argv[1:];f=pathlib.Path(p);f.write_text(f.read_text().replace(o,n))"
        return shlex.join(["python3", "-c", program, step.path, step.old, step.text])
    return step.text


def _shells(command: str) -> dict[str, dict[str, object]]:
    plain: dict[str, object] = {"command": command}
    described = {**plain, "description": "work"}
    return {
        "exec_command": {"cmd": command},
        "shell_command": plain,
        "shell": {"command": command},
        "local_shell": plain,
        "Bash": described,
        "bash": described,
        "run_shell_command": described,
        "developer__shell": plain,
    }
