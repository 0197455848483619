"""Somebody who can write Interlock's state, but has not the key: a run whose history, store and evidence they edit.

Rule: a forger is thorough. Digests in the journal are made again and the newest is written beside it, so only a signature
is in the way.
"""

from __future__ import annotations

import json
import shutil
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.cli_world import World, new_world

from interlock.bootstrap import build
from interlock.core.events import Event, HandoffAccepted, RunStarted
from interlock.core.wire import decode_event, encode_event, kind_of
from interlock.journal import chain
from interlock.service.verification import Verification, verify_run
from interlock.signing import KeyFolder
from interlock.signing.envelopes import write_envelope
from interlock.signing.keys import id_of

PIPELINE = """\
version: 1
name: two
agents:
  coder: {use: command, run: "echo told > plan.txt; echo $INTERLOCK_ATTEMPT"}
stages:
  plan:
    agent: coder
    gates:
      - {id: there, run: "test -s plan.txt"}
      - {id: also, run: "test -f plan.txt"}
  code:
    needs: [plan]
    run: cat plan.txt plan.txt > code.txt
    gates:
      - {id: test, run: "test -s code.txt"}
"""
_FREE = "DROP TRIGGER IF EXISTS event_is_never_changed; DROP TRIGGER IF EXISTS event_is_never_removed;"


@dataclass
class Forger:
    """`whole` is the world as it was left; each forgery begins from it, at the same place."""

    root: Path
    pipeline: str = PIPELINE
    world: World = field(init=False)
    run: str = field(init=False)
    other: str = field(init=False)  # of another run, with the same stages

    def __post_init__(self) -> None:
        self.world = new_world(self.root / "world", {"interlock.yaml": self.pipeline, "start.txt": "start\n"})
        self.other = self._played("first")
        self.run = self._played("second")
        shutil.copytree(self.world.root, self.root / "whole", symlinks=True)

    def put_back(self) -> None:
        shutil.rmtree(self.world.root)
        shutil.copytree(self.root / "whole", self.world.root, symlinks=True)

    @property
    def state(self) -> Path:
        (folder,) = (self.world.root / "state/interlock").glob("project-*")
        return folder

    @property
    def keys(self) -> KeyFolder:
        return KeyFolder(self.world.root / "state/interlock/keys")

    def verified(self) -> Verification:
        """As `interlock verify`, in this process."""
        app = build(self.world.repository, self.world.environment())
        try:
            return verify_run(app.sources(), self.run)
        finally:
            app.close()

    # --- the history

    def history(self, run: str = "") -> list[Event]:
        rows = self._rows(run or self.run)
        return [decode_event(kind, body) for _, _, kind, _, body in rows]

    def accepted(self, stage: str, run: str = "") -> HandoffAccepted:
        events = self.history(run)
        return next(each for each in events if isinstance(each, HandoffAccepted) and each.attempt.stage == stage)

    def rewrite(self, change: Callable[[list[Event]], list[Event]]) -> None:
        """Put another history in place, with new digests."""
        times = [row[1] for row in self._rows(self.run)]
        events = change(self.history())
        digest = chain.first_digest(self.run)
        number = self._ask("SELECT number FROM run WHERE id = ?", self.run)[0][0]
        self._ask(_FREE)
        self._ask("DELETE FROM event WHERE run = ?", number)
        for seq, event in enumerate(events, 1):
            row = (seq, times[min(seq, len(times)) - 1], kind_of(event), 1, encode_event(event))
            digest = chain.next_digest(digest, row)
            self._ask("INSERT INTO event (run, seq, at, kind, version, body, digest) VALUES (?,?,?,?,?,?,?)",
                      number, *row, digest)  # fmt: skip
        chain.Heads(self.state / "heads").write(self.run, (len(events), digest))

    def edit(self, change: Callable[[Event], Event]) -> None:
        self.rewrite(lambda events: [change(event) for event in events])

    def rewrite_policy(self, change: Callable[[str], str], *, first_event: bool = True) -> None:
        """The pipeline's text, and its digest in the first event."""
        text = change(self._ask("SELECT value FROM remembered WHERE kind = 'pipeline' AND key = ?", self.run)[0][0])
        self._ask("UPDATE remembered SET value = ? WHERE kind = 'pipeline' AND key = ?", text, self.run)
        digest = sha256(text.encode()).hexdigest()
        if first_event:
            self.edit(lambda event: _with(event, pipeline_text=digest) if isinstance(event, RunStarted) else event)

    # --- records

    def envelope(self, stage: str, run: str = "") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.blob(self.accepted(stage, run).record).read_bytes())
        return found

    def replace_record(self, stage: str, content: bytes) -> None:
        """Another record, which the history names."""
        digest = sha256(content).hexdigest()
        path = self.blob(digest)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        attempt = self.accepted(stage).attempt
        self.edit(
            lambda event: (
                _with(event, record=digest)
                if isinstance(event, HandoffAccepted) and event.attempt == attempt
                else event
            )
        )

    def reworded(self, stage: str, change: Callable[[Any], object]) -> bytes:
        """The envelope with another statement, under its old signature."""
        envelope = self.envelope(stage)
        statement = json.loads(b64decode(envelope["payload"]))
        change(statement)
        content = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
        return dumped({**envelope, "payload": b64encode(content).decode()})

    def resigned(self, stage: str, key: Ed25519PrivateKey, key_id: str = "") -> bytes:
        """The same statement, signed by another key, which may claim to be the right one."""
        envelope = self.envelope(stage)
        content = b64decode(envelope["payload"])
        return write_envelope(envelope["payloadType"], content, key_id or id_of(key.public_key()), key.sign)

    # --- files

    def blob(self, digest: str) -> Path:
        return self.state / "blobs" / digest[:2] / digest[2:]

    def overwrite(self, path: Path, content: bytes) -> None:
        path.chmod(0o644)
        path.write_bytes(content)

    def change_object(self, oid: str, content: bytes) -> None:
        """Another content under the name of a loose blob of the store."""
        path = self.state / "store.git/objects" / oid[:2] / oid[2:]
        self.overwrite(path, zlib.compress(b"blob %d\0" % len(content) + content))

    def refs(self, stage: str) -> list[str]:
        """The refs of the store that keep a stage's candidates."""
        folder = self.state / "store.git/refs/interlock" / self.run / stage
        return [f"refs/interlock/{self.run}/{stage}/{path.name}" for path in folder.iterdir()]

    def forget_copies(self) -> None:
        shutil.rmtree(self.state / "store.git/refs/records")

    def _played(self, task: str) -> str:
        self.world.ask("run", "-t", task, "--plain").ended(0)
        run: str = self.world.show()["id"]
        return run

    def _rows(self, run: str) -> list[tuple[Any, ...]]:
        words = "SELECT seq, at, kind, version, body FROM event WHERE run = (SELECT number FROM run WHERE id = ?)"
        return self._ask(f"{words} ORDER BY seq", run)

    def _ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        connection = apsw.Connection(str(self.state / "journal.db"))
        try:
            return list(connection.execute(sql, values or None))  # type: ignore[arg-type]
        finally:
            connection.close()


def dumped(envelope: Mapping[str, object]) -> bytes:
    return json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode()


def _with(event: Any, **fields: object) -> Any:
    import dataclasses

    return dataclasses.replace(event, **fields)


def moved_branch(world: World, tree_of: Mapping[str, str]) -> str:
    """A commit in the user's repository with other files."""
    for name, text in tree_of.items():
        (world.repository / name).write_text(text)
    world.git("add", "-A")
    tree = world.git("write-tree")
    return world.git("commit-tree", "-m", "other", tree)
