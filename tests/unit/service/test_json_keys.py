"""The keys of what leaves us as JSON: users read them, so a renamed field must not rename a key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interlock.cli.verbs.gc import collected_as_json
from interlock.core.events import Evidence, Finding, Usage
from interlock.core.state import Spending
from interlock.gates.locks import WaitingWork
from interlock.pipelinefile.scaffold import Detected
from interlock.ports import Change
from interlock.readmodel.costs import Costs, CostShare
from interlock.readmodel.history import AttemptView, Reply, VerdictView
from interlock.readmodel.reasons import Reason
from interlock.readmodel.run import RunSummary, RunView, StageView, WaitView
from interlock.service.formats import to_json
from interlock.workspaces.gc import Collected

SUMMARY = (
    "id pipeline task phase why base_commit sandbox by started_at at seq owner spent limits waits branch commit"
    " sleeps_until sleeps_since overrides progress engine behind"
)
KEYS = {
    RunSummary: SUMMARY,
    RunView: f"{SUMMARY} stages base_verdicts refused answers costs replies reasons unowned",
    StageView: "id needs phase epoch worker attempts input commit skipped waits input_verdicts",
    WaitView: "stage subject gate reason detail commands hint",
    AttemptView: "id phase agent model by input_tree started_at ended_at commit tree outcome claim why cached usage"
    " evidence verdicts record override_by sent_back_to asked notes worker sandbox",
    VerdictView: "at verdict",
    Reply: "at answer refused",
    Reason: "stage attempt gate status hard message rule file line findings times by",
    WaitingWork: "run subject gate why",
    Change: "path status old_mode new_mode added removed",
    Spending: "attempts tokens cost_usd cost_known wall_s",
    Costs: "by_stage by_agent rejected",
    CostShare: "of spent reviews",
    Usage: "tokens_in tokens_out tokens_cached cost_usd",
    Finding: "rule message severity file line reason secret",
    Evidence: "name digest size",
    Detected: "languages tools agents folders",
}


@pytest.mark.parametrize("shown", KEYS, ids=lambda shown: str(shown.__name__))
def test_a_field_that_is_shown_keeps_its_key(shown: Any) -> None:
    value = object.__new__(shown)
    for name in shown.__dataclass_fields__:
        object.__setattr__(value, name, "")
    assert list(to_json(value)) == KEYS[shown].split()


def test_what_gc_removed() -> None:
    keys = json.loads(json.dumps(collected_as_json(Collected(1, 2, 3, 4, ("a",)))))
    assert keys == {"bytes": 1, "objects": 2, "refs": 3, "places": 4, "stays": ["a"]}
