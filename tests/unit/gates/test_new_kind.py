"""A gate kind is one module: with nothing else changed the file, the schema, a run and `check` know it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.core.events import VerdictStatus
from interlock.core.pipeline import Gate, GateClass, Pipeline
from interlock.execution.briefing.rules import checks
from interlock.gates import kinds
from interlock.gates.locks import Slots
from interlock.gates.referee import GateContext, Referee
from interlock.pipelinefile import (
    InvalidPipeline,
    codec,
    decode_pipeline,
    encode_pipeline,
    json_schema,
    load_pipeline,
    resolved_yaml,
)
from interlock.ports import InfrastructureError
from interlock.service.checks import CheckRequest, check

MODULE = '''
"""The widest gate: no line of a file is longer than `most`."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.core.events import Finding, VerdictStatus
from interlock.core.pipeline import GateOptions
from interlock.gates.kinds import Kind, option, options_of
from interlock.ports import Judgement


@dataclass(frozen=True, slots=True)
class Widest(GateOptions):
    most: int = option("Characters of a line, at most.")
    within: tuple[str, ...] = option(default=("**",), key="in", form="glob")


def check(view, stage, gate, at):
    if options_of(gate, Widest).most > 200:
        view.error((*at, "most"), "nobody reads lines of that length", "write 200 or less")


def judge(context, request, cancel):
    widest = options_of(request.gate, Widest)
    findings = []
    for path in context.workspaces.files(request.commit, widest.within):
        content = context.workspaces.read(request.commit, path, 1_000_000).decode()
        if any(len(line) > widest.most for line in content.splitlines()):
            findings.append(Finding("wide", f"{path}: a line of more than {widest.most} characters", file=path))
    return Judgement(VerdictStatus.FAILED if findings else VerdictStatus.PASSED, tuple(findings))


KIND = Kind(
    "widest",
    "No line is longer than this.",
    judge,
    options=Widest,
    takes=("timeout",),
    timeout_s=30,
    check=check,
    brief_line=lambda pipeline, stage, gate: f"no line has more than {options_of(gate, Widest).most} characters",
)
'''
FILE = """
version: 1
agents: {coder: {use: command, run: work}}
stages:
  code:
    agent: coder
    gates:
      - {id: narrow, widest: {most: 100, in: [src/**]}}
"""


class Files:
    """As much of ports.Workspaces as the kind uses."""

    def __init__(self, **content: str) -> None:
        self._content = content

    def files(self, commit: str, globs: tuple[str, ...]) -> tuple[str, ...]:
        assert globs == ("src/**",)
        return tuple(self._content)

    def read(self, commit: str, path: str, max_bytes: int) -> bytes:
        return self._content[path].encode()


@pytest.fixture(autouse=True)
def _widest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/widest.py").write_text(MODULE)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path / "more")])
    yield
    codec._decoded.cache_clear()
    sys.modules.pop("interlock.gates.kinds.widest", None)
    vars(kinds).pop("widest", None)


def load(root: Path, text: str = FILE) -> Pipeline:
    (root / "interlock.yaml").write_text(text)
    return load_pipeline(root / "interlock.yaml", root).pipeline


def gate_of(pipeline: Pipeline) -> Gate:
    return pipeline.stage("code").gate("narrow")


def test_it_is_loaded_and_its_fields_are_built(tmp_path: Path) -> None:
    gate = gate_of(load(tmp_path))
    assert (gate.kind, gate.timeout_s, gate.gate_class) == ("widest", 30, GateClass.HARD)
    options: Any = gate.options
    assert (options.most, options.within) == (100, ("src/**",))
    assert gate.digest != gate_of(load(tmp_path, FILE.replace("100", "120"))).digest


def test_it_comes_back_from_the_record_and_from_the_resolved_file(tmp_path: Path) -> None:
    pipeline = load(tmp_path)
    text = encode_pipeline(pipeline)
    assert decode_pipeline(text) == pipeline
    [_, written] = json.loads(text)["pipeline"]["stages"][0]["gates"]
    assert written["widest"] == {"most": 100, "within": ["src/**"]}
    assert gate_of(load(tmp_path, resolved_yaml(pipeline))) == gate_of(pipeline)


def test_without_its_module_the_record_is_of_a_newer_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = encode_pipeline(load(tmp_path))
    monkeypatch.setattr(kinds, "__path__", kinds.__path__[:-1])
    with pytest.raises(InfrastructureError, match=r"newer Interlock .*kind 'widest' is not known here.*upgrade"):
        decode_pipeline(text)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("most: 100", "most: 300", "8:37: nobody reads lines of that length: write 200 or less"),
        ("most: 100", "most: 0", "8:37: most is 0: it has to be at least 1"),
        ("most: 100, ", "", "8:22: stages.code.gates[1].widest has no most: add most"),
        ("in: [", "inn: [", "8:42: unknown key inn: did you mean in?"),
        ("in: [src/**]", "in: ['!src']", "8:47: !src excludes"),
        ("widest: {", "report: junit, widest: {", "report has no meaning for `widest`: remove it"),
        ("id: narrow, ", "id: narrow, run: 'true', ", "the gate narrow has two kinds (run and widest)"),
        ("widest: {most: 100, in: [src/**]}", "timeout: 3s", "use, approve, ci, review, traces, widest"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_at_its_place(tmp_path: Path, before: str, after: str, said: str) -> None:
    with pytest.raises(InvalidPipeline) as caught:
        load(tmp_path, FILE.replace(before, after))
    assert said in str(caught.value)


def test_the_schema_has_its_keys() -> None:
    parts: Any = json_schema()["$defs"]
    assert parts["GatePart"]["properties"]["widest"]["description"] == "No line is longer than this."
    assert parts["WidestPart"]["properties"].keys() == {"most", "in"}
    assert parts["WidestPart"]["required"] == ["most"]
    assert parts["WidestPart"]["properties"]["most"]["description"] == "Characters of a line, at most."


def test_its_agent_is_told(tmp_path: Path) -> None:
    pipeline = load(tmp_path)
    assert "- narrow: no line has more than 100 characters" in checks(pipeline, pipeline.stage("code"), ())


@pytest.mark.parametrize(("width", "status"), [(100, VerdictStatus.PASSED), (101, VerdictStatus.FAILED)])
def test_it_judges_also_outside_a_run(tmp_path: Path, width: int, status: VerdictStatus) -> None:
    files: Any = Files(**{"src/a.py": "short", "src/b.py": "x" * width})
    unused: Any = SimpleNamespace()
    context = GateContext(files, unused, unused, {}, tmp_path, Slots(tmp_path, 1))
    request = CheckRequest(load(tmp_path), ("code",), "commit", "tree", "base", "base tree")
    of_scope, narrow = check(Referee(context), unused, request)
    assert of_scope.judgement is None
    assert narrow.judgement is not None
    assert narrow.judgement.status is status
    assert [finding.file for finding in narrow.judgement.findings] == ["src/b.py"][: width > 100]


def test_a_kind_that_no_file_can_name_is_a_mistake_in_the_code(tmp_path: Path) -> None:
    (tmp_path / "more/widest.py").write_text(MODULE.replace("options=Widest,", ""))
    with pytest.raises(TypeError, match="without options, which no file can name: widest"):
        load(tmp_path)
