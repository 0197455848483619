"""Rules that need two places of the file to be seen. One module per subject; each only adds to the mistakes."""

from __future__ import annotations

from interlock.pipelinefile.checks import agents, artifacts, gates, prompts, rules, scopes, stages
from interlock.pipelinefile.checks.view import View, view_of

__all__ = ["View", "check", "view_of"]

_SUBJECTS = (stages, agents, gates, rules, scopes, artifacts, prompts)


def check(view: View) -> None:
    for subject in _SUBJECTS:
        subject.check(view)
