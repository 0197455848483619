"""Artifacts: distinct names and files, valid schemas, and conditions (`when`) that can hold. Templates of prompts,
briefs and the branch's name: every variable is defined, and a brief includes the task and the feedback.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from interlock.core.pipeline import Text
from interlock.pipelinefile.mistakes import Mark, nearest
from interlock.pipelinefile.templates import BRIEF_NAMES, PROMPT_NAMES, Flaw, KnownNames, find_flaws, tag_at
from interlock.pipelinefile.yaml import Path, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.core.pipeline import Artifact, Stage, When
    from interlock.pipelinefile.checks import View

_POINTER_MAX = 20


def check(view: View) -> None:
    _variables(view)
    for stage in view.pipeline.stages:
        files: dict[str, str] = {}
        for artifact in stage.produces:
            at = ("stages", stage.id, "produces", artifact.name)
            _file(view, artifact, at, files)
            _content(view, artifact, at)
        if stage.when:
            _when(view, stage, stage.when)
    check_templates(view)


def _variables(view: View) -> None:
    """Names of artifacts and inputs become environment variables, which must differ."""
    seen: dict[str, str] = {}
    for stage in view.pipeline.stages:
        for artifact in stage.produces:
            name = f"{stage.id}/{artifact.name}"
            path = ("stages", stage.id, "produces", artifact.name)
            _check_unique(view, f"ARTIFACT_{stage.id}_{artifact.name}", name, path, seen)
    for known in view.pipeline.inputs:
        _check_unique(view, f"INPUT_{known.name}", known.name, ("inputs", known.name), seen)


def _check_unique(view: View, variable: str, name: str, path: Path, seen: dict[str, str]) -> None:
    variable = variable.upper().replace("-", "_")
    first = seen.setdefault(variable, name)
    if first != name:
        view.at_key(path, f"{name} and {first} are both ${variable} to commands", "name one of them differently")


def _file(view: View, artifact: Artifact, at: Path, files: dict[str, str]) -> None:
    folded = artifact.file.casefold()
    for other, name in files.items():
        if other == folded:
            view.error(
                (*at, "file"), f"{artifact.name} and {name} are the same file", "give each artifact its own file"
            )
        elif other.startswith(f"{folded}/") or folded.startswith(f"{other}/"):
            view.error((*at, "file"), f"{artifact.name} and {name} are a file and a folder of one name", "rename one")
    files[folded] = artifact.name
    if not artifact.file:
        view.error((*at, "file"), "this is the artifact folder itself", "name a file in it")


def _content(view: View, artifact: Artifact, at: Path) -> None:
    if artifact.sections and not artifact.file.lower().endswith((".md", ".markdown")):
        hint = f"name a Markdown file, such as {artifact.name}.md"
        view.at_key((*at, "sections"), f"{artifact.file} has no sections", hint)
    if artifact.schema is None or not artifact.schema.content:
        return
    if not artifact.file.lower().endswith(".json"):
        view.at_key((*at, "schema"), f"{artifact.file} is not JSON", f"name a JSON file, such as {artifact.name}.json")
    _schema(view, artifact.schema, at)


def _schema(view: View, schema: Text, at: Path) -> None:
    try:
        content = json.loads(schema.content)
    except json.JSONDecodeError as error:
        mark = (
            Mark(schema.origin, error.lineno, error.colno) if schema.origin else view.draft.where.value(*at, "schema")
        )
        view.draft.mistakes.add(mark, f"this is not JSON ({error.msg})", "write the schema as JSON")
        return
    from jsonschema import SchemaError  # lazy: most pipelines have no schema
    from jsonschema.validators import validator_for

    try:
        validator_for(content).check_schema(content)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "the top"
        mark = Mark(schema.origin) if schema.origin else view.draft.where.value(*at, "schema")
        view.draft.mistakes.add(mark, f"this is not a JSON Schema ({error.message}, at {place})", "correct it there")


def _when(view: View, stage: Stage, when: When) -> None:
    at = ("stages", stage.id, "when")
    name, _, artifact_name = when.artifact.partition("/")
    made = {
        f"{other.id}/{artifact.name}": artifact
        for other in view.pipeline.stages
        if other.id in view.upstream[stage.id]
        for artifact in other.produces
    }
    artifact = made.get(when.artifact)
    if when.at and not when.at.startswith("/"):
        view.error((*at, "at"), f"{when.at} is not a JSON pointer", f"write /{when.at}")
    if artifact is None:
        if stage.id not in view.partial and not view.is_broken("stages", name, "produces"):
            hint = nearest(when.artifact, made, "no earlier stage produces one")
            view.error((*at, "artifact"), f"{when.artifact} is not produced before {stage.id}", hint)
        return
    if not artifact.file.lower().endswith(".json"):
        view.error((*at, "artifact"), f"{artifact_name} is not JSON ({artifact.file})", "use a JSON artifact")
    elif artifact.schema and (wrong := _never_true(artifact.schema, when)):
        view.error(
            (*at, "equals"),
            f"this is never true, so the gates of {stage.id} never run ({wrong})",
            _allowed(artifact.schema, when),
        )


def _never_true(schema: Text, when: When) -> str:
    """Why the schema never allows the value of `equals`; empty if it may."""
    found = _below(schema, when.at)
    if found is None:
        return f"the schema has nothing at {when.at}"
    wanted = json.loads(when.equals)
    values = _values(found)
    if values is not None and wanted not in values:
        return f"{when.equals} is not among the values that the schema allows"
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    kind = found.get("type")
    if isinstance(kind, str) and kind in kinds and not isinstance(wanted, kinds[kind]):
        return f"{when.equals} is not a {kind}"
    return ""


def _allowed(schema: Text, when: When) -> str:
    found = _below(schema, when.at)
    if found is None:
        return "write a pointer to something that the schema describes"
    values = _values(found)
    return (
        f"write one of {', '.join(map(json.dumps, values))}" if values else f"write a value of type {found.get('type')}"
    )


def _values(schema: dict[str, object]) -> list[object] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _below(schema: Text, pointer: str) -> dict[str, object] | None:
    """The subschema at a pointer of plain properties; {} (anything) if it is not known, None if the schema excludes
    it."""
    try:
        found = json.loads(schema.content)
    except json.JSONDecodeError:
        return {}
    for part in pointer.split("/")[1:_POINTER_MAX]:
        if not isinstance(found, dict) or not isinstance(found.get("properties"), dict):
            return {}
        if part not in found["properties"]:
            return None if found.get("additionalProperties") is False else {}
        found = found["properties"][part]
    return found if isinstance(found, dict) else {}


BRANCH_NAMES = frozenset({"run.id", "inputs"})


def check_templates(view: View) -> None:
    check_briefs(view)
    for stage, part in view.stages():
        if part.prompt is not None and stage.id not in view.partial:
            at: Path = ("stages", stage.id, "prompt")
            report_flaws(
                view,
                stage.prompt,
                at,
                find_flaws(stage.prompt.content, known_names(view, stage, PROMPT_NAMES | {"item"})),
            )
            _warn_of_skipped(view, stage, _of_text(view, stage.prompt, at))
    if view.has("deliver", "branch"):
        branch = Text(view.pipeline.deliver.branch)
        report_flaws(
            view,
            branch,
            ("deliver", "branch"),
            find_flaws(branch.content, KnownNames(BRANCH_NAMES, view.declared("inputs"))),
        )


def known_names(view: View, stage: Stage, names: frozenset[str]) -> KnownNames:
    """The names that a template of the stage may use."""
    makers = {f"{one.id}/{artifact.name}": one.id for one in view.pipeline.stages for artifact in one.produces}
    made = frozenset(name for name, maker in makers.items() if maker in view.upstream[stage.id])
    return KnownNames(names, view.declared("inputs"), made, makers, stage.id)


def report_flaws(view: View, text: Text, at: Path, found: Iterable[Flaw]) -> None:
    """Report each flaw at its place in the template's own file, or in the pipeline's."""
    at = _of_text(view, text, at)
    for flaw in found:
        mark = (
            _in_file(text.content, text.origin, flaw.offset) if text.origin else _in_place(view, text.content, at, flaw)
        )
        view.draft.mistakes.add(mark, flaw.message, flaw.hint)


def _of_text(view: View, text: Text, at: Path) -> Path:
    key = "file" if text.origin else "text"
    return (*at, key) if view.has(*at, key) else at


def _warn_of_skipped(view: View, stage: Stage, at: Path) -> None:
    """Warn of artifacts that are missing if their stage is skipped."""
    prompt = stage.prompt.content
    if re.search(r"\bin\s+artifacts|is\s+(not\s+)?defined|\|\s*default", prompt):
        return
    for other in view.pipeline.stages:
        for artifact in other.produces if other.when and other.id in view.upstream[stage.id] else ():
            name = f"{other.id}/{artifact.name}"
            if re.search(rf"artifacts\s*\[\s*['\"]{name}['\"]", prompt):
                hint = f"put it into {{% if '{name}' in artifacts %}} ... {{% endif %}}"
                view.warn(at, f"{name} does not exist when {other.id} is skipped", hint)


def _in_file(template: str, file: str, offset: int) -> Mark:
    before = template[:offset]
    return Mark(file, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _in_place(view: View, template: str, at: Path, flaw: Flaw) -> Mark:
    """The flaw's place in the pipeline's file: in the same tag after the start of the value. If quotes or folding
    changed the tag, the place of the value."""
    mark, node = view.draft.where.value(*at), view.draft.where.node(*at)
    source = dict(view.draft.sources.listed()).get(mark.file, "")
    tag, begins = tag_at(template, flaw.offset)
    if not tag or not isinstance(node, Scalar):
        return mark
    index = _index_of(source, mark)
    for _ in range(template[:begins].count(tag) + 1):
        index = source.find(tag, index + 1)
        if index < 0:
            return mark
    return _in_file(source, mark.file, index + flaw.offset - begins)


def _index_of(source: str, mark: Mark) -> int:
    lines = source.splitlines(keepends=True)[: mark.line - 1]
    return sum(map(len, lines)) + mark.column - 2


_TASK = re.compile(r"\{\{.*?\b(prompt|task)\b.*?\}\}", re.DOTALL)
_FEEDBACK = re.compile(r"\{\{.*?\b(wrong|feedback)\b.*?\}\}", re.DOTALL)


def check_briefs(view: View) -> None:
    reported: set[tuple[Path, str]] = set()
    for stage, part in view.stages():
        if stage.brief is None or not stage.brief.content or stage.id in view.partial:
            continue
        at: Path = ("stages", stage.id, "brief") if part.brief is not None else ("defaults", "brief")
        if at == ("stages", stage.id, "brief") and stage.command and not stage.agent:
            view.at_key(at, "a script has no brief", "remove it, or name an agent")
            continue
        _brief(view, stage, at, reported)


def _brief(view: View, stage: Stage, at: Path, reported: set[tuple[Path, str]]) -> None:
    assert stage.brief is not None
    content = stage.brief.content
    found = [
        flaw
        for flaw in find_flaws(content, known_names(view, stage, BRIEF_NAMES))
        if (at, flaw.message) not in reported
    ]
    reported |= {(at, flaw.message) for flaw in found}
    report_flaws(view, stage.brief, at, [_with_all_names(flaw) for flaw in found])
    for wanted, message, hint in (
        (_TASK, "the brief does not include the task", "write {{ prompt }} where the task belongs"),
        (
            _FEEDBACK,
            "the brief does not contain what was wrong",
            "write {{ wrong }}, or a retry is like the first attempt",
        ),
    ):
        if not wanted.search(content) and (at, message) not in reported:
            reported.add((at, message))
            view.warn(at, message, hint)


def _with_all_names(flaw: Flaw) -> Flaw:
    """The flaw, with all known names in its hint if a name is undefined."""
    if not flaw.message.endswith("is not defined") or not flaw.hint.startswith("did you mean"):
        return flaw
    return replace(flaw, hint=f"{flaw.hint} (known: {', '.join(sorted(BRIEF_NAMES))})")
