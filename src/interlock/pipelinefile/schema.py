"""The JSON Schema that editors complete with. Rule: made from the models, so it cannot drift."""

from __future__ import annotations

from interlock.pipelinefile.kinds import file_model, written_kinds

DESCRIBED = {
    ("InputPart", "type"): "What kind of value `-i NAME=VALUE` takes.",
    ("InputPart", "required"): "Whether a run has to name it. True unless there is a default.",
    ("AgentPart", "use"): "The adapter: command, scripted, codex, claude, aider, ...",
    ("AgentPart", "run"): "The program, for `use: command`. The brief comes on its standard input.",
    ("AgentPart", "fallback"): "Agents that take over when this one is down (not when it is wrong).",
    (
        "AgentPart",
        "instructions",
    ): "Globs of the base's files for agents, or none. Without it: AGENTS.md and its like.",
    ("SetupPart", "run"): "Run once per contents of `key`. It sees HOME, how packages are found, and what `env` names.",
    ("SetupPart", "key"): "Files that it installs from: made anew when these change. Without any: every file.",
    ("SetupPart", "paths"): "What it leaves behind, in place of whatever the tree has there.",
    ("SetupPart", "env"): "Environment variables that it sees, credentials among them.",
    ("SetupPart", "settle"): "Run in each checkout, offline.",
    ("ArtifactPart", "file"): "Where it lies, relative to $ARTIFACTS.",
    ("ArtifactPart", "schema"): "The JSON Schema that it has to fit.",
    ("ArtifactPart", "sections"): "Markdown headings that must be there.",
    ("GatePart", "use"): "A ready gate, such as python.test.",
    ("GatePart", "report"): "What it writes to $REPORT.",
    ("GatePart", "repeat"): "How often it runs on the same tree; all must agree.",
    ("GatePart", "base"): "The run stops where the gate fails on the base.",
    ("GatePart", "held_out"): "The name of files that the referee alone sees; the user's settings say where they are.",
    ("GatePart", "tests"): "base: with the tests of the base laid over the candidate.",
    ("GatePart", "canary"): "The runner that tests which must fail are added for; false: none are.",
    ("GatePart", "breaks"): "Test files, at most 10: each is broken in a run of its own, which must then say no.",
    ("RulePart", "in"): "Globs: every finding lies in a file that they match.",
    ("GatePart", "exclusive"): "Names of things that only one gate may use at a time.",
    ("RulePart", "after"): "Matches from this many rejections in the epoch on.",
    ("RulePart", "max"): "How often the goto is taken, per run.",
    ("WhenPart", "at"): "A JSON pointer, such as /size.",
    ("StagePart", "run"): "A script in place of an agent: deterministic, cached by what it depends on.",
    ("StagePart", "prompt"): "What the agent is told. Without one it is the task.",
    (
        "StagePart",
        "brief",
    ): "A template of all that the agent is told, in place of the one that `interlock schema --brief` prints.",
    ("DefaultsPart", "brief"): "The template of what agents are told, for stages that name none.",
    ("StagePart", "writes"): "What may be changed. Absent: all that is not protected. []: only its own artifacts.",
    ("StagePart", "authors"): "Protected paths that this stage alone may change, or tables: pyproject.toml#tool.ruff.",
    ("StagePart", "instructions"): "The same for this stage, in place of what its agent says.",
    ("StagePart", "adds"): "Tests and their data that it may add, and never change or delete.",
    ("PipelineFile", "include"): "Other files of the same shape, relative to this one.",
    ("PipelineFile", "protect"): "What no stage may change, but one that `authors` it.",
    ("PipelineFile", "carry"): "Untracked files that come along.",
}


def json_schema() -> dict[str, object]:
    """The schema of a pipeline file, draft 2020-12."""
    schema = file_model().model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    of_kinds = {("GatePart", kind.name): kind.summary for kind in written_kinds() if kind.summary}
    for (part, key), description in (DESCRIBED | of_kinds).items():
        owner = schema if part == "PipelineFile" else definitions[part]
        owner["properties"][key]["description"] = description
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Interlock pipeline"}
