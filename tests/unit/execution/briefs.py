"""Briefs without a run: a pipeline from its text, a world that holds what was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from interlock.core.effects import StartAttempt
from interlock.core.events import RunStarted
from interlock.core.ids import AttemptId
from interlock.core.pipeline import Pipeline
from interlock.execution.brief import compose
from interlock.execution.context import Context
from interlock.journal.memory import MemoryBlobs
from interlock.pipelinefile import load_pipeline, render
from interlock.ports import Change, Checkout, World

RUN = "20260102-030405-k3x9qd"


@dataclass
class Told:
    """What a brief is made of. `said` are feedback documents as they are recorded, with the text of a patch in place
    of its digest. `beside` is what was laid beside the checkout."""

    pipeline: Pipeline
    stage: str
    task: str = "Mend it."
    said: Sequence[Mapping[str, Any]] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)  # by path
    changed: Sequence[Change] = ()
    effect: Mapping[str, Any] = field(default_factory=dict)
    beside: dict[str, bytes] = field(default_factory=dict)

    def brief(self, *, resumed: bool = False) -> str:
        blobs = MemoryBlobs()
        digests = tuple(_recorded(blobs, document) for document in self.said)
        attempt = AttemptId(self.stage, 1, len(digests) + 1)
        effect = StartAttempt(attempt, "coder", "input", "tree", digests, **self.effect)
        started = RunStarted(RUN, self.pipeline.name, "digest", self.task, "base", "tree", ())
        context = Context(RUN, self.pipeline, started, 0.0)
        workspaces = SimpleNamespace(
            patch=lambda old, new: f"{old} {new}\n".encode(),
            read=self._read,
            changes=lambda old, new: self.changed,
            put_beside=self._put,
            files=lambda commit, globs: (),
        )
        world = cast(World, SimpleNamespace(blobs=blobs, workspaces=workspaces, render=render))
        root = Path("/places/1")
        checkout = Checkout(root, root / "tree", root / "home", root / "tmp")
        return compose(world, context, effect, checkout, resumed=resumed)

    def _read(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        return self.artifacts[path].encode() if path in self.artifacts else None

    def _put(self, checkout: Checkout, name: str, content: bytes) -> Path:
        self.beside[name] = content
        return checkout.root / "beside" / name


def pipeline_of(folder: Path, text: str, files: Mapping[str, str] | None = None) -> Pipeline:
    folder.mkdir(exist_ok=True)
    for name, content in {"interlock.yaml": text, **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return load_pipeline(folder / "interlock.yaml", folder).pipeline


def rejected(attempt: str, *found: tuple[str, str, int, str], patch: str = "", **output: str) -> dict[str, object]:
    """A feedback document; each finding is gate, file, line, message."""
    findings = [dict(zip(("gate", "file", "line", "message"), one, strict=True)) for one in found]
    return {"attempt": attempt, "findings": findings, "output": output, "patch": patch}


def _recorded(blobs: MemoryBlobs, document: Mapping[str, Any]) -> str:
    patch = {"patch": blobs.put(document["patch"].encode())} if document.get("patch") else {}
    return blobs.put(json.dumps({**document, **patch}).encode())
