"""The reference of the pipeline file: every key is on the page with its place, and every example is valid."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from tests.contract.docs.pages import DOCS, Block, blocks

from interlock.conventions.programs import ADAPTERS
from interlock.gates.kinds import all_kinds
from interlock.pipelinefile import json_schema, load_pipeline
from interlock.pipelinefile.fields import read_duration
from interlock.ports import InterlockError

PAGE = (DOCS / "pipeline.md").read_text()
EXAMPLES = [block for block in blocks(PAGE) if block.language == "yaml"]
SECTIONS = {
    "PipelineFile": "Top level", "InputPart": "inputs", "AgentPart": "agents", "DefaultsPart": "defaults",
    "LimitsPart": "limits", "StageLimitsPart": "limits of a stage",
    "SetupPart": "setup", "StagePart": "stages", "ArtifactPart": "produces",
    "GatePart": "gates",
    "RulePart": "on_reject", "WhenPart": "when",
    "SandboxPart": "sandbox", "DeliverPart": "deliver", "PullRequestPart": "pull_request", "ForEachPart": "Reserved",
    **{f"{kind.name.title()}Part": kind.name for kind in all_kinds() if kind.options},
}  # fmt: skip
AGENTS = {name: f"{{use: command, run: {name}-agent}}" for name in ("coder", "critic")}


def test_the_keys_on_the_page_are_those_of_the_schema():
    schema = json_schema()
    definitions = {**schema["$defs"], "PipelineFile": schema}  # type: ignore[dict-item]
    parts = {name: set(part["properties"]) for name, part in definitions.items() if "properties" in part}
    assert parts.keys() == SECTIONS.keys()
    for name, keys in parts.items():
        text = _section(SECTIONS[name])
        if name == "ForEachPart":
            assert all(f"`{key}`" in text for key in keys)
        else:
            assert set(re.findall(r"^\| `(\w+)` \|", text.partition("\n### ")[0], re.MULTILINE)) == keys, name


def test_the_adapters_on_the_page_are_those_that_a_file_can_name():
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| (.*?) ?\| (.*?) \|$", _section("Adapters"), re.MULTILINE)
    assert {
        name: (runs == "yes", set(re.findall(r"`(\w+)`", options)), cost) for name, runs, options, cost in rows
    } == {
        adapter.name: (adapter.runs, set(adapter.options), "reported" if adapter.tells_cost else "needs a `price`")
        for adapter in ADAPTERS.values()
    }


def test_the_defaults_on_the_page_are_those_of_a_loaded_pipeline(tmp_path: Path):
    path = tmp_path / "interlock.yaml"
    path.write_text(
        "version: 1\nstages:\n  s:\n    run: make\n    produces: {p: {file: p.md}}\n"
        "    gates: [{id: g, run: x}, {id: c, ci: {checks: [x]}}]\n"
        "    on_reject: [{goto: s}]\nsetup: [{run: x}]\ndeliver: {pull_request: {}}\n"
    )
    pipeline = load_pipeline(path, tmp_path).pipeline
    (stage,) = pipeline.stages
    gate, ci = stage.gates[-2:]
    request = pipeline.deliver.pull_request
    assert request is not None
    for section, key, value in (
        ("Top level", "quota_wait", pipeline.quota_wait_s),
        ("defaults", "attempts", stage.attempts_max),
        ("defaults", "timeout", stage.timeout_s),
        ("defaults", "idle_timeout", stage.idle_timeout_s),
        ("limits", "attempts", pipeline.limits.attempts),
        ("setup", "timeout", pipeline.setup[0].timeout_s),
        ("produces", "max_bytes", stage.produces[0].max_bytes),
        ("gates", "repeat", gate.repeat),
        ("on_reject", "max", stage.on_reject[0].max),
        ("on_reject", "after", stage.on_reject[0].after),
        ("deliver", "branch", pipeline.deliver.branch),
        ("pull_request", "remote", request.remote),
    ):
        written = _default(section, key)
        assert (read_duration(written) if re.fullmatch(r"\d+[mh]", written) else written) in (value, str(value)), key
    once, slow = (read_duration(one) for one in re.findall(r"\d+[mh]", _default("gates", "timeout")))
    assert (once, slow) == (gate.timeout_s, ci.timeout_s)


def _default(section: str, key: str) -> str:
    found = re.search(rf"^\| `{key}` \| [^|]*\| ([^|]*) \|", _section(section), re.MULTILINE)
    assert found, key
    return found[1] if section == "gates" else found[1].strip("`")


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: f"line-{PAGE[: block.start].count(chr(10))}")
def test_every_example_is_valid(block: Block, tmp_path: Path):
    (tmp_path / "agents.yaml").write_text("version: 1\n")
    (tmp_path / "testdata").mkdir()
    (tmp_path / "testdata/large.bin").touch()
    (tmp_path / "test").mkdir()
    (tmp_path / "test/all.js").touch()
    path = tmp_path / "interlock.yaml"
    path.write_text(_whole(block))
    try:
        findings = load_pipeline(path, tmp_path).findings
    except InterlockError as error:
        pytest.fail(f"{error}\n{path.read_text()}")
    of_machine = ("no stage uses", "sandbox: read: there is no")  # not of the example
    assert [finding for finding in findings if not any(words in str(finding) for words in of_machine)] == []


def test_a_wrong_example_would_be_seen(tmp_path: Path):
    path = tmp_path / "interlock.yaml"
    path.write_text(_whole(Block("yaml", "stage", "gates:\n  - id: test\n    rum: make\n", 0)))
    with pytest.raises(InterlockError, match="rum"):
        load_pipeline(path, tmp_path)


def _whole(block: Block) -> str:
    """A pipeline around the example, by what stands after `yaml`: complete, part (of the top level), stage."""
    if block.words == "complete":
        return block.text
    agents = "" if "\nagents:" in f"\n{block.text}" else _mapping("agents", AGENTS)
    if block.words == "part":
        gates = "    gates: [{id: test, run: make test}]\n"
        return f"version: 1\n{agents}{block.text}stages:\n  code:\n    agent: coder\n{gates}"
    assert block.words == "stage", f"say what this example is: {block.text}"
    return f"version: 1\n{agents}stages:\n  code:\n    agent: coder\n{textwrap.indent(block.text, '    ')}"


def _mapping(name: str, values: dict[str, str]) -> str:
    return f"{name}:\n" + "".join(f"  {key}: {value}\n" for key, value in values.items())


def _section(title: str) -> str:
    found = re.search(
        rf"^(##+) {re.escape(title)}\n(.*?)(?=^## |^### (?!Templates)|\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    assert found, f"the page has no section {title}"
    return found[2]
