"""What a stage starts from (accepted documents, changes, conflicts to decide), and what it must produce."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from interlock.conventions.judge_files import matches_in_any_case
from interlock.conventions.protected_changes import may_hold_both
from interlock.core.effects import StartAttempt
from interlock.core.joins import DECISIONS, DELETED, EDITED, choices, described
from interlock.core.pipeline import ARTIFACTS, FOLDER, Artifact, Pipeline, Stage
from interlock.ports import Change
from interlock.text.cleaning import bullets, cut, fenced, listed, path_here, plain, without_place
from interlock.text.globs import matches_any

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
    files = [_file(stage, change) for change in changed if not change.path.startswith(f"{FOLDER}/")]
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


def conflicts(stage: Stage, effect: StartAttempt) -> str:
    """All of it: an attempt that does not know of one cannot decide it."""
    return "\n\n".join((*_conflicts(stage, effect), *_broken(stage, effect)))


def _conflicts(stage: Stage, effect: StartAttempt) -> Iterator[str]:
    if not effect.conflicts:
        return
    names = [name for name, _ in effect.sides]
    of = f" of {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else ""
    yield f"You start from a merge{of}, which are in conflict."
    bare = {item.path for item in effect.undecided if not item.marked}
    marked = [path for path in effect.conflicts if path not in bare]
    if marked:
        yield "Merging left markers in these files. Merge both sides and remove the markers:\n" + bullets(
            path_here(stage.dir, path) for path in marked
        )
    held = [path for path in marked if _is_held(stage, path)]
    if held:
        both = ", or keep every line of both sides and add nothing"
        yield "These of them are protected. Take each as one side has it:\n" + bullets(
            f"{path_here(stage.dir, path)}{both if may_hold_both(path) else ''}" for path in held
        )
    if effect.undecided:
        yield "These paths have no markers that show the conflict. Decide each:\n" + bullets(
            f"{path_here(stage.dir, item.path)}: {described(item)}. Now it is {item.left}." for item in effect.undecided
        )
        yield _how_to_decide(stage, effect)
    if names:
        branches = ", ".join(f"`from/{name}`" for name in names)
        yield (
            f"Each side is a branch here ({branches}): `git checkout from/{names[0]} -- PATH` takes its version, and"
            f" `git diff -M from/{names[0]} from/{names[-1]}` shows what was moved elsewhere."
        )


def _broken(stage: Stage, effect: StartAttempt) -> Iterator[str]:
    if effect.broken:
        yield "The merged files fail checks, before any work of yours:\n" + bullets(
            f"{_place(stage, item.file, item.line)}{without_place(item.message, item.file, item.line)}"
            for item in effect.broken
        )


def _place(stage: Stage, file: str, line: int) -> str:
    here = path_here(stage.dir, file)
    return f"{here}:{line}: " if line else f"{here}: " if here else ""


def _is_held(stage: Stage, path: str) -> bool:
    return matches_in_any_case(stage.scope.protect, path) and not matches_any(stage.scope.authored_files, path)


def _how_to_decide(stage: Stage, effect: StartAttempt) -> str:
    file = path_here(stage.dir, f"{ARTIFACTS}/{stage.id}/{DECISIONS}")
    options = ", ".join(f"{json.dumps(item.path)}: {' | '.join(map(json.dumps, choices(item)))}"
                        for item in effect.undecided)  # fmt: skip
    return (
        f"Make each of them as it should be, and write what you decided into `{file}`: a JSON object with one entry for"
        " each path from the root. The name of a stage means that the path is exactly as that stage left it;"
        f' "{DELETED}", that no file is there; "{EDITED}", that you made the file of both. The choices:\n'
        f"```\n{{{options}}}\n```\nWhat is not decided there, or not as decided, is not taken."
    )
