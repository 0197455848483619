"""A model without a program, for plans, designs and reviews: `model: PROVIDER:NAME`. It can change only the documents
of its stage."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from interlock.agents.bundled import read_result, start_bundled
from interlock.agents.driven import AttemptRequest, Driven, Kind, Start
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome

_SILENT_S = 900  # it does not stream


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Model(Driven(Kind(sys.executable, _start, read_result, quiet_s=_SILENT_S, label="model"), environ))


class Model:
    """Implements ports.Agent."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        if find_spec("pydantic_ai") is None:
            message = "`use: model` needs an extra: pip install 'interlock[models]'"
            return Outcome(Ended.UNAVAILABLE, message, permanent=True)
        return self._driven.work(spec, brief, checkout, cancel)


def _start(request: AttemptRequest) -> Start:
    config = {
        "model": request.brief.model,
        "endpoint": request.endpoint,
        "text": request.brief.text,
        "tree": request.seen(request.tree),
        "documents": {} if request.reviews else _documents(request.brief.env),
    }
    return start_bundled("model", config)


def _documents(env: Mapping[str, str]) -> dict[str, str]:
    """The artifacts of the stage: their paths, by name below the stage's folder."""
    folder = f"{env.get('ARTIFACTS', '')}/"
    paths = (value for name, value in env.items() if name.startswith("ARTIFACT_") and value.startswith(folder))
    return {path.removeprefix(folder): path for path in paths}
