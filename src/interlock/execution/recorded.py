"""The pipeline that a run began with: it lies beside the history, and its first event has the digest of it.

Rule: what drives a run and what shows it read it here, so that one that was changed is judged by nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from interlock.core.pipeline import Pipeline
from interlock.core.state import RunState
from interlock.pipelinefile import decode_pipeline, encode_pipeline
from interlock.ports import Damaged, Journal, UsageError

_KIND = "pipeline"


def record_pipeline(journal: Journal, run: str, pipeline: Pipeline) -> str:
    """Keep it, and return the digest for the run's first event."""
    text = encode_pipeline(pipeline)
    journal.remember(_KIND, run, text)
    return _digest(text)


def recorded_pipeline(journal: Journal, run: str, state_of: Callable[[str], RunState]) -> Pipeline:
    """As it was when the run started. Raises UsageError where there is no such run, Damaged."""
    text = journal.recall(_KIND, run)
    if text is None and run in journal.runs():
        raise Damaged("its pipeline is not in the journal any more")
    if text is None:
        raise UsageError(f"no run {run} in this repository: `interlock list` shows those there are")
    started = state_of(run).started
    if started is not None and started.pipeline_text not in ("", _digest(text)):
        raise Damaged(
            "its pipeline is not as it was recorded: its digest does not fit the first event: put the newest"
            " journal.db, with its -wal, back in its place"
        )
    return decode_pipeline(text)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
