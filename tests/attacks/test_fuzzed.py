"""Whatever a program writes for Interlock to read: reports, verdicts of reviewers, streams of agents. Nothing crashes what
reads it, and nothing passes that does not say so by another reading.

The envelopes of signed records have theirs in `test_verify.py`.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.nightly import rest_at_night
from tests.unit.agents.attempts import request_in

from interlock.agents import program
from interlock.agents.bundled import read_result
from interlock.agents.driven import AgentReport
from interlock.agents.logs import readable
from interlock.core.events import Severity
from interlock.core.pipeline import Gate, GateKind
from interlock.gates import canary
from interlock.gates.baseline import compare
from interlock.gates.reports import Unreadable, bounded, junit, sarif
from interlock.gates.reviews.answers import AnswerRequirements, NoAnswer, ReviewDecision, read, refused

KEEP = Gate("test", GateKind.RUN)
TREE = Path("/w/tree")

# --- reports ----------------------------------------------------------------------------------------

GREEN = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="0" failures="0" skipped="0" tests="3">
<testcase classname="tests.test_app" name="test_keep" time="0.001"/>
<testcase classname="tests.test_app" name="test_zero" time="0.001"></testcase>
<testcase classname="tests.test_app" name="test_add" time="0.001"/>
</testsuite></testsuites>
"""
FAILURE = b'<failure message="assert -1 == 5">def test_add(): &lt;x&gt;\ntests/test_app.py:16: AssertionError</failure>'
RED = GREEN.replace(b'failures="0"', b'failures="1"').replace(
    b'name="test_add" time="0.001"/>', b'name="test_add" time="0.001">' + FAILURE + b"</testcase>"
)
PIECES = (
    b"<", b">", b"/>", b"</testcase>", b"<testcase name='x'>", b"<skipped/>", b"</testsuite>", b"<failure/>", b"<error>", b"-->",
    b"<!--", b"<![CDATA[", b"]]>", b"&amp;", b"&x;", b"<?x ?>", b"<!DOCTYPE x>", b"\0", b"\x1b", b"\xff", b"\xff\xfe", b'"', b"'",
    b'status="skipped"', b"<testsuite>", b'failures="99"', b"0", b"test_add", FAILURE, b"\n<!-- interlock: next file -->\n",
    b"\n<!-- interlock: added a/b/c/1 -->\n",
)  # fmt: skip
NAMES = (
    "testsuites",
    "testsuite",
    "testcase",
    "failure",
    "error",
    "skipped",
    "system-out",
    "rerunFailure",
    "flakyFailure",
    "x:y",
)


@st.composite
def mutants(draw: st.DrawFn, genuine: bytes) -> bytes:
    """The bytes with up to four places deleted, repeated, cut off or replaced."""
    made = genuine
    for _ in range(draw(st.integers(0, 4))):
        at, size = draw(st.integers(0, len(made))), draw(st.integers(0, 120))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=3) | st.just(made[at : at + size]))
        made = made[:at] + piece + made[at + size :]
    return made[: draw(st.integers(0, len(made)))] if draw(st.booleans()) else made


ELEMENTS = st.recursive(
    st.just(""),
    lambda inner: st.builds(
        lambda name, attributes, parts: f"<{name} {attributes}>{''.join(parts)}</{name}>",
        st.sampled_from(NAMES),
        st.dictionaries(
            st.sampled_from(["name", "classname", "failures", "errors", "tests", "message", "status", "file", "line"]),
            st.sampled_from(["", "test_add", "tests.test_app", "1", "0", "-1", "9" * 30, "skipped", "&#xE000;", "é"]),
        ).map(lambda found: " ".join(f'{name}="{value}"' for name, value in found.items())),
        st.lists(inner | st.text("ab \n", max_size=3), max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip
REPORTS = mutants(RED) | mutants(GREEN) | st.binary(max_size=200) | ELEMENTS.map(str.encode)


def passed_by_another_reading(content: bytes, name: str) -> bool:
    """Whether some test case of this name has nothing in it that says otherwise."""
    plain = content.translate(None, bytes(set(range(32)) - set(b"\t\n\r"))).decode("utf-8", "replace")
    root = ElementTree.fromstring(plain)
    cases = [case for case in root.iter() if local(case) == "testcase" and case.get("name") == name]
    return any(not {local(part) for part in case} & {"failure", "error", "skipped"} for case in cases)


def local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2].rpartition(":")[2]


@given(content=REPORTS)
def test_no_report_crashes_or_passes(content: bytes) -> None:
    try:
        tests = junit.parse(junit.split(content))
    except Unreadable:
        return
    said = compare(KEEP, tests, junit.parse([GREEN]))
    for finding in bounded((*said.findings, *said.notes)):
        f"{finding.rule}{finding.message}{finding.file}".encode()
    if not said.findings and junit.split(content) == (content,):
        for name in ("test_keep", "test_zero", "test_add"):
            assert passed_by_another_reading(content, name)


@given(cut=st.integers(0, len(RED.rstrip()) - 1))
def test_no_part_of_a_report_is_a_report(cut: int) -> None:
    with pytest.raises(Unreadable):
        junit.parse([RED[:cut]])


WORDS = canary.Words("pelanorid", ("sumarelok", "kefotalin"), ("rinatosel",))
CANARIES = b"".join(
    b'<testcase classname="tests.test_%s" name="test_%s">%s</testcase>' % (b"pelanorid", word.encode(), what)
    for word, what in (*((word, FAILURE) for word in WORDS.failing), *((word, b"") for word in WORDS.passing))
)
MARKED = GREEN.replace(b"</testsuite>", CANARIES + b"</testsuite>").replace(b'failures="0"', b'failures="2"')


@given(content=mutants(MARKED) | mutants(GREEN) | mutants(RED))
def test_no_report_passes_for_one_with_tests_that_failed_as_they_must(content: bytes) -> None:
    try:
        shown = canary.result_of(canary.with_mark((content,), WORDS))
    except Unreadable:
        return
    if shown.failed:
        for word in WORDS.failing:
            assert not passed_by_another_reading(content, f"test_{word}")
            assert word.encode() in content


RESULT = st.fixed_dictionaries({}, optional={
    "level": st.sampled_from(["error", "warning", "note", "none", "Error", 1, None]),
    "kind": st.sampled_from(["fail", "pass", "open", "review", "informational", 3]), "ruleId": st.text(max_size=3) | st.integers(),
    "message": st.just({"text": "\ud800 x"}) | st.just({"text": ["x"]}) | st.just("x"),
    "locations": st.just([{"physicalLocation": {"artifactLocation": {"uri": "file:///w/tree/a%FF.py"}, "region": {"startLine": -3}}}])
    | st.just([1]) | st.just({}), "suppressions": st.just([]) | st.just([{}]) | st.just("x"),
})  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["runs", "results", "tool", "x"]), inner),
    max_leaves=8,
)  # fmt: skip
SARIF = st.fixed_dictionaries({
    "version": st.sampled_from(["2.1.0", "2", 2.1, None]),
    "runs": st.lists(st.fixed_dictionaries({}, optional={
        "results": st.lists(RESULT | ANYTHING, max_size=4) | ANYTHING, "tool": ANYTHING,
        "invocations": st.lists(st.fixed_dictionaries({"executionSuccessful": st.booleans() | st.none()}), max_size=2) | ANYTHING,
    }) | ANYTHING, max_size=3) | ANYTHING,
})  # fmt: skip


@given(document=SARIF | ANYTHING)
def test_no_sarif_crashes_or_passes(document: Any) -> None:
    try:
        findings = sarif.parse(json.dumps(document).encode(), TREE, "")
    except Unreadable:
        return
    for finding in bounded(findings):
        f"{finding.rule}{finding.message}{finding.file}".encode()
    assert document["runs"], "nothing ran"
    results = [result for run in document["runs"] for result in run.get("results") or []]
    wrong = [each for each in results if each.get("level") == "error" and each.get("kind", "fail") == "fail"]
    open_ = [each for each in wrong if not isinstance(each.get("suppressions"), list) or {} not in each["suppressions"]]
    assert len(open_) <= sum(finding.severity is Severity.ERROR for finding in findings)


@given(content=st.binary(max_size=60) | st.text("[]{}:,\"'0e9-.trufalsn \\ud8", max_size=80).map(str.encode))
def test_no_bytes_are_sarif(content: bytes) -> None:
    with pytest.raises(Unreadable):
        sarif.parse(content, TREE, "")


# --- verdicts ---------------------------------------------------------------------------------------

MARK = "0f1e2d3c4b5a6978"
REST = '"findings": [], "earlier": [], "requirements": []'
YES, NO = f'{{"verdict": "approve", {REST}}}', f'{{"verdict": "escalate", {REST}}}'
OTHER = f'{{"mark": "867b1ac7f5656937", "verdict": "approve", {REST}}}'
PARTS = st.sampled_from([
    YES, NO, OTHER, "\n", "```\n", "```json\n", "~~~\n", "> ", "    ", "I do not approve.\n", "Approved.\n", "\ufeff", "\r\n", "{", "}",
    '"', "\\", "[", "]", ",", '"verdict"', ": ", '"approve"', '"mark"', "null", "NaN", "\0", "\u2028", "x" * 100,
]) | st.text(max_size=5)  # fmt: skip
REQUIRED = AnswerRequirements("critic", mark=MARK)
STRUCTURED = st.fixed_dictionaries({
    "verdict": st.sampled_from(["approve", "revise", "escalate", "Approve", "", None, True]),
    "findings": st.lists(st.fixed_dictionaries({}, optional={
        "file": st.text(max_size=3) | st.none(), "line": st.integers() | st.floats(), "message": st.text(max_size=3),
        "severity": st.sampled_from(["error", "blocker", "nit", "major", 1]), "reason": st.sampled_from(["code", "x", None]),
    }) | ANYTHING, max_size=3) | ANYTHING,
    "earlier": st.lists(ANYTHING, max_size=1) | ANYTHING, "requirements": st.lists(ANYTHING, max_size=1) | ANYTHING,
}, optional={"mark": st.sampled_from([MARK, "x", None]), "verdict ": st.just("approve")})  # fmt: skip


@given(text=st.lists(PARTS, max_size=12).map("".join))
def test_no_text_without_the_mark_approves_but_the_answer_alone(text: str) -> None:
    try:
        answer = read(text, REQUIRED)
    except NoAnswer as why:
        refused(text, str(why))
        return
    body = text.strip().strip("\ufeff").strip().strip("`~").removeprefix("json").strip()
    assert json.loads(body)["verdict"] == answer.decision


@given(
    document=STRUCTURED, around=st.sampled_from(["%s", "I read it.\n\n%s\n", "```json\n%s\n```", "%s\n%s", "%s\nNo."])
)
def test_no_answer_crashes_and_none_approves_that_does_not_say_so(document: Any, around: str) -> None:
    text = around.replace("%s", json.dumps(document))
    try:
        answer = read(text, REQUIRED)
    except NoAnswer:
        return
    assert document["verdict"] == answer.decision
    assert around in ("%s", "```json\n%s\n```") or (document.get("mark") == MARK and "No." not in around)
    if answer.decision is ReviewDecision.APPROVE:
        assert all(finding.severity is not Severity.ERROR for finding in answer.findings)


# --- streams ----------------------------------------------------------------------------------------

KINDS = ("aider", "claude", "codex", "gemini", "goose", "mini", "opencode", "qwen")
DONE: Mapping[str, list[dict[str, Any]]] = {
    "claude": [{"type": "result", "subtype": "success", "is_error": False, "result": "Done.", "total_cost_usd": 0.1}],
    "codex": [{"type": "thread.started", "thread_id": "x"}, {"type": "turn.completed", "usage": {"input_tokens": 3}}],
    "gemini": [{"type": "init", "model": "m"}, {"type": "result", "status": "success", "stats": {"input_tokens": 3}}],
    "goose": [{"type": "message", "message": {"id": "x"}}, {"type": "complete", "total_tokens": 3}],
    "opencode": [{"type": "step_finish", "part": {"reason": "stop", "tokens": {"input": 3}}}],
    "qwen": [{"type": "result", "is_error": False, "result": "Done.", "usage": {"input_tokens": 3}}],
    "result": [{"type": "result", "done": True, "usage": {"tokens_in": 3}}],
}
KEYS = sorted({
    "type", "subtype", "is_error", "result", "usage", "message", "part", "error", "data", "item", "status", "stats", "content", "text",
    "reason", "tokens", "cost", "total_cost_usd", "cost_usd", "retry_at", "retry_delay_ms", "error_status", "api_error_status", "id",
    "input_tokens", "output_tokens", "cached_input_tokens", "total_tokens", "rate_limit_info", "resetsAt", "thread_id", "session_id",
    "sessionID", "model", "stop_reason", "role", "statusCode", "name", "info", "exit_status", "messages", "extra", "response", "choices",
    "submission", "actions", "command", "event", "properties", "cache", "cache_read_input_tokens", "tool_name", "parameters", "input",
    "changes", "path", "kind", "done", "refused", "trouble", "begun", "session", "payload", "state", "output", "title",
})  # fmt: skip
TYPES = (
    "result", "assistant", "system", "user", "rate_limit_event", "thread.started", "item.completed", "turn.failed", "error", "init",
    "message", "tool_use", "tool_result", "step_finish", "step_start", "text", "complete", "notification", "agent_message", "file_change",
    "command_execution", "success", "stop", "tool-calls", "refusal", "api_retry", "message_send", "message_send_starting", "Submitted",
)  # fmt: skip
ODD = st.sampled_from([None, True, -1, 0, 10**400, 1e400, -1e400, math.nan, 0.5, "", "x", "10", [], [1], {}, {"x": 1}])
# Events with all that their reader looks at; in each example a place or two have something odd instead.
FULL: Mapping[str, list[dict[str, Any]]] = {
    "claude": [
        {"type": "system", "subtype": "api_retry", "retry_delay_ms": 5, "error_status": 429, "error": "x", "model": "m", "session_id": "s"},
        {"type": "assistant", "message": {"model": "m", "id": "x", "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2},
                                          "content": [{"type": "text", "text": "x"}, {"type": "tool_use", "name": "x", "input": {"command": "x"}}]}},
        {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1_800_000_000}},
        {"type": "result", "subtype": "success", "is_error": False, "result": "Done.", "total_cost_usd": 0.1, "api_error_status": 429,
         "usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 3, "output_tokens": 4}},
    ],
    "codex": [
        {"type": "thread.started", "thread_id": "x"}, {"type": "item.completed", "item": {"type": "agent_message", "text": "x"}},
        {"type": "item.completed", "item": {"type": "command_execution", "command": "x", "aggregated_output": "x", "exit_code": 1}},
        {"type": "item.completed", "item": {"type": "file_change", "changes": [{"path": "x", "kind": "add"}]}},
        {"type": "error", "message": "Reconnecting... 1/5 (x)"}, {"type": "turn.failed", "error": {"message": "x"}},
        {"type": "turn.completed", "usage": {"input_tokens": 3, "output_tokens": 4, "cached_input_tokens": 1}},
        {"payload": {"info": {"total_token_usage": {"input_tokens": 1, "output_tokens": 1}}}},
    ],
    "gemini": [
        {"type": "init", "model": "m", "session_id": "s"}, {"type": "message", "role": "assistant", "content": "x"},
        {"type": "tool_use", "tool_name": "x", "parameters": {"command": "x"}}, {"type": "error", "message": "x"},
        {"type": "result", "status": "success", "error": {"message": "x"}, "stats": {"input_tokens": 3, "output_tokens": 4, "cached": 1}},
    ],
    "goose": [
        {"type": "message", "message": {"id": "x", "role": "user", "content": [{"type": "text", "text": "x"}]}}, {"type": "error", "error": "x"},
        {"type": "complete", "total_tokens": 3, "input_tokens": 1, "output_tokens": 2}, {"usage": {"output_tokens": 2}},
    ],
    "opencode": [
        {"type": "text", "sessionID": "s", "part": {"text": "x"}}, {"type": "error", "error": {"name": "x", "data": {"message": "x", "statusCode": 429}}},
        {"type": "step_finish", "part": {"id": "x", "reason": "stop", "cost": 0.1, "tokens": {"input": 3, "output": 1, "reasoning": 0,
                                                                                                "cache": {"read": 1, "write": 2}}}},
    ],
    "qwen": [
        {"type": "system", "model": "m", "session_id": "s"},
        {"type": "assistant", "parent_tool_use_id": None, "message": {"id": "x", "usage": {"input_tokens": 1, "output_tokens": 2}}},
        {"type": "result", "is_error": False, "result": "Done.", "error": {"message": "x"},
         "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 1}},
    ],
    "mini": [{"info": {"exit_status": "Submitted", "submission": "x", "model_stats": {"instance_cost": 0.1}}, "messages": [
        {"role": "assistant", "content": "x", "extra": {"actions": [{"command": "x"}], "cost": 0.1, "exit_status": "x", "exception_str": "x", "response": {
            "choices": [{"finish_reason": "stop", "message": {"refusal": "x", "content": "x"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}}}}]}],
    "aider": [
        {"event": "message_send_starting"}, {"event": "message_send", "properties": {
            "main_model": "m", "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.1, "total_cost": 0.2}},
    ],
    "result": [{"type": "result", "done": True, "refused": False, "message": "x", "trouble": "x", "status": 429, "retry_at": 1.5, "model": "m",
                "session": "s", "begun": True, "usage": {"tokens_in": 3, "tokens_out": 4, "tokens_cached": 1, "cost_usd": 0.1}}],
}  # fmt: skip


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([at] if at else []), *(place for key, each in inner for place in places(each, (*at, key)))]


@st.composite
def bent(draw: st.DrawFn, kind: str) -> bytes:
    events = copy.deepcopy(FULL[kind])
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(places(events)))
        holder: Any = events
        for step in way:
            holder = holder[step]
        holder[last] = copy.deepcopy(draw(ODD))
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**16) | st.just(10**400) | st.floats() | st.text(max_size=5) | st.sampled_from(TYPES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=10,
)  # fmt: skip
EVENTS = st.builds(
    lambda kind, rest: {**rest, **({"type": kind} if kind else {})},
    st.sampled_from((*TYPES, "")), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6),
)  # fmt: skip
LINES = st.lists(
    EVENTS.map(lambda event: json.dumps(event).encode()) | st.binary(max_size=20) | st.just(b"{" * 5000), max_size=6
)
LOGS = LINES.map(b"\n".join)
OWN_FILES = {
    "aider": ("chat.md", "calls.jsonl", "llm.md"), "mini": ("trajectory.json",), "goose": ("state/logs/llm_request.0.jsonl",),
    "opencode": ("data/opencode/log/opencode.log",), "qwen": ("qwen/debug/a.txt",), "codex": ("sessions/1/2/3/rollout-x.jsonl",),
}  # fmt: skip


def read_by(kind: str, log: bytes, own: bytes = b"") -> AgentReport:
    """What an adapter makes of the output of its program, and of the files that the program keeps."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log").write_bytes(log)
        for path in OWN_FILES.get(kind, ()) if own else ():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(own)
        request = request_in(folder)
        if kind == "result":
            return read_result(request, folder / "log")
        module = importlib.import_module(f"interlock.agents.kinds.{kind}")
        if hasattr(module, "_give_up_reason"):
            assert isinstance(module._give_up_reason(request, folder / "log"), str)
        if hasattr(module, "_call_tokens"):
            for line in log.splitlines():
                if line.startswith(b"{") and line.endswith(b"}") and isinstance(event := loaded(line), dict):
                    module._call_tokens(event)
        report: AgentReport = module._read(request, folder / "log")
        return report


def loaded(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def sound(report: AgentReport) -> None:
    """Numbers are numbers, and texts can be written."""
    used = report.usage
    for tokens in (used.tokens_in, used.tokens_out, used.tokens_cached):
        assert tokens is None or (type(tokens) is int and tokens >= 0)
    assert used.cost_usd is None or (math.isfinite(used.cost_usd) and used.cost_usd >= 0)
    assert math.isfinite(report.retry_at)
    assert all(type(flag) is bool for flag in (report.done, report.refused, report.over_budget, report.begun))
    assert all(isinstance(text, str) for text in (report.message, report.error, report.model, report.session))


@pytest.mark.parametrize("kind", rest_at_night([*KINDS, "result"], 2))
@given(log=LOGS, own=LOGS)
def test_no_stream_crashes_its_reader(kind: str, log: bytes, own: bytes) -> None:
    sound(read_by(kind, log, own))


@pytest.mark.parametrize("kind", rest_at_night([*KINDS, "result"], 2))
@given(data=st.data())
def test_no_odd_value_in_an_event_crashes_its_reader(kind: str, data: st.DataObject) -> None:
    log = data.draw(bent(kind))
    sound(read_by(kind, log, log))
    readable(log.decode())


@pytest.mark.parametrize("kind", rest_at_night([*KINDS, "result"], 2))
@given(log=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_what_is_no_stream_is_no_success(kind: str, log: bytes) -> None:
    assert not read_by(kind, log).done


@pytest.mark.parametrize("kind", DONE)
@given(data=st.data())
def test_a_stream_that_breaks_off_in_its_last_event_is_no_success(kind: str, data: st.DataObject) -> None:
    whole = b"".join(json.dumps(event).encode() + b"\n" for event in DONE[kind])
    assert read_by(kind, whole).done
    last = len(whole.splitlines()[-1])
    assert not read_by(kind, whole[: -data.draw(st.integers(2, last + 1))]).done


USAGE = st.dictionaries(
    st.sampled_from(["tokens_in", "tokens_out", "tokens_cached", "cost_usd", "retry_at", "ended", "message", "model", "session", "usage"]),
    ODD | VALUES | st.sampled_from(["completed", "refused", "rate_limited", "unavailable", "timed_out"]),
)  # fmt: skip


@given(content=USAGE.map(lambda fields: json.dumps(fields).encode()) | LOGS | st.binary(max_size=50))
def test_no_report_of_a_command_crashes_or_lies_about_its_cost(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "usage.json").write_bytes(content)
        said = program._report(Path(name) / "usage.json")
    sound(AgentReport(usage=said.usage, retry_at=said.retry_at, message=said.message, model=said.model))


@given(log=LOGS)
def test_every_log_can_be_shown(log: bytes) -> None:
    readable(log.decode("utf-8", "replace"))
