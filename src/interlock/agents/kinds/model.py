"""A model without a program, for plans, designs and reviews: `model: PROVIDER:NAME`. It changes nothing but the
stage's own documents."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from interlock.agents.bundled.results import read_result, started
from interlock.agents.driven import AttemptRequest, Driven, Kind, Start
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome

_SILENT_S = 900  # an answer comes whole


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Model(Driven(Kind(sys.executable, _start, read_result, silent_s=_SILENT_S, label="model"), environ))


class Model:
    """Implements ports.Agent."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        if find_spec("pydantic_ai") is None:
            message = "`use: model` needs more: pip install 'interlock[models]'"
            return Outcome(Ended.UNAVAILABLE, message, permanent=True)
        return self._driven.work(spec, brief, checkout, cancel)


def _start(asked: AttemptRequest) -> Start:
    config = {
        "model": asked.brief.model,
        "endpoint": asked.endpoint,
        "text": asked.brief.text,
        "tree": str(asked.tree),
        "documents": {} if asked.reviews else _documents(asked.brief.env),
    }
    return started("model", config)


def _documents(env: Mapping[str, str]) -> dict[str, str]:
    """The stage's own artifacts: by their names below its folder, where they lie."""
    folder = f"{env.get('ARTIFACTS', '')}/"
    paths = (value for name, value in env.items() if name.startswith("ARTIFACT_") and value.startswith(folder))
    return {path.removeprefix(folder): path for path in paths}
