"""What was accepted before a stage and where it lies, and what the stage is to leave behind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from interlock.core.pipeline import ARTIFACTS, Artifact, Pipeline, Stage
from interlock.core.text import plain
from interlock.gates.words import cut, fenced, listed, path_here
from interlock.ports import Change

_ROOM = 700  # characters of one list
_PATH_MAX = 300
_SCHEMA_MAX = 3_000
_BYTES_USUAL = 10_000_000
_DONE = {"A": "new", "D": "deleted"}


def accepted(pipeline: Pipeline, stage: Stage, there: Iterable[str], changed: Sequence[Change]) -> str:
    """`there` are names of artifacts upstream, `changed` what accepted work has changed so far."""
    parts = []
    documents = [_document(pipeline, stage, name) for name in there]
    if documents:
        parts.append(listed(documents, _ROOM, "documents"))
    files = [_file(stage, change) for change in changed if not change.path.startswith(".interlock/")]
    if files:
        parts.append("Changed so far:\n" + listed(files, _ROOM, "files"))
    return "\n\n".join(parts)


def documents(stage: Stage) -> str:
    """Each document with its path, sections and schema."""
    return "\n\n".join(_wanted(stage, artifact) for artifact in stage.produces)


def _document(pipeline: Pipeline, stage: Stage, name: str) -> str:
    maker, _, artifact = name.partition("/")
    file = next(each.file for each in pipeline.stage(maker).produces if each.name == artifact)
    return f"{name}: `{path_here(stage.dir, f'{ARTIFACTS}/{maker}/{file}')}`"


def _file(stage: Stage, change: Change) -> str:
    done = _DONE.get(change.status, "")
    shown = cut(plain(path_here(stage.dir, change.path), _PATH_MAX), _PATH_MAX)  # a name may hold anything
    return f"`{shown}`" + (f" ({done})" if done else "")


def _wanted(stage: Stage, artifact: Artifact) -> str:
    said = [f"Write `{path_here(stage.dir, f'{ARTIFACTS}/{stage.id}/{artifact.file}')}` (`$ARTIFACTS/{artifact.file}`)"]
    if artifact.sections:
        headings = ", ".join(f"`{section}`" for section in artifact.sections)
        said.append(f"with the Markdown headings {headings} (of any level)")
    if artifact.max_bytes != _BYTES_USUAL:
        said.append(f"of at most {artifact.max_bytes:,} bytes")
    if artifact.schema is None:
        return ", ".join(said) + "."
    schema = _compact(artifact.schema.content)
    if len(schema) > _SCHEMA_MAX:
        origin = f"in `{path_here(stage.dir, artifact.schema.origin)}`" if artifact.schema.origin else "of the pipeline"
        return ", ".join(said) + f". It must fit the JSON Schema {origin}."
    return ", ".join(said) + ". It must fit this JSON Schema:\n" + fenced(schema, "json")


def _compact(schema: str) -> str:
    try:
        return json.dumps(json.loads(schema), ensure_ascii=False)
    except ValueError:
        return schema.strip()
