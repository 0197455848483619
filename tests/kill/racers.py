"""One of the processes of `test_racers.py`: `python -m tests.kill.racers REPOSITORY NUMBER RACERS`. For each line on
its input, a run and a fence, it lets its racers accept the same handoff of that run at once, and prints who won.

Rule: each does what the performing of an acceptance does: first the record, which is kept by a ref, then the event.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interlock.application import Application
from interlock.bootstrap import build
from interlock.core.events import HandoffAccepted
from interlock.core.ids import AttemptId
from interlock.ports import Fenced, InfrastructureError
from interlock.signing import SignedRecords
from interlock.workspaces import storage

ATTEMPT = AttemptId("code", 1, 1)


def race(app: Application, run: str, shared: int, number: int, racers: int) -> Iterator[dict[str, str]]:
    """Those that won: the event of a record, and the ref of a candidate. Every second one owns the run for itself."""
    together = threading.Barrier(racers)
    records = SignedRecords(app.keys.signer(), app.blobs, app.workspaces.stored_records)

    def accept(place: int) -> dict[str, str]:
        mine = f"{number}.{place}"
        together.wait()
        fence = app.journal.take(run) if place % 2 else shared
        record = records.keep(run, mine.encode())
        won = {}
        try:
            storage.create_ref(app.paths.store, f"refs/interlock/{run}/code/1.1", record[:40])
            won["ref"] = record[:40]
        except InfrastructureError:
            pass
        try:
            app.journal.append(run, fence, 1, 0.0, HandoffAccepted(ATTEMPT, record[:40], record[:40], record))
            won["event"] = record
        except Fenced:
            pass
        return won

    with ThreadPoolExecutor(racers) as pool:
        yield from pool.map(accept, range(racers))


def main() -> None:
    repository, number, racers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    app = build(repository, dict(os.environ))
    print("ready", flush=True)
    for line in sys.stdin:
        run, _, fence = line.strip().partition(" ")
        print(json.dumps(list(race(app, run, int(fence), number, racers))), flush=True)
    app.close()


if __name__ == "__main__":
    main()
