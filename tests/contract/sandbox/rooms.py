"""A checkout with a room at level full, and what a program in it prints."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.ports import Checkout, Sandbox
from interlock.process import Finished, Supervised, checkout_environment, supervise
from interlock.sandbox import Network, Room, confine


@dataclass(frozen=True, slots=True)
class Ended:
    finished: Finished
    said: str
    log: Path


def checkout_in(folder: Path, sandbox: Sandbox = Sandbox("full")) -> Checkout:
    made = Checkout(folder, folder / "tree", folder / "home", folder / "tmp", sandbox=sandbox)
    for one in (made.tree, made.home, made.tmp, folder / "output"):
        one.mkdir(parents=True, exist_ok=True)
    return made


def run_in(
    checkout: Checkout, words: Sequence[str] | str, *, env: Mapping[str, str] | None = None, timeout_s: float = 20,
    network: Network = Network.NONE, writes: Sequence[Path] = (), reads: Sequence[Path] = (),
    hosts: Sequence[str] = (), judges: bool = False, stdin: bytes = b"",
) -> Ended:  # fmt: skip
    """A program in a room; a text is a script of a shell."""
    argv = ("/bin/sh", "-c", words) if isinstance(words, str) else tuple(words)
    seen = {**checkout_environment(os.environ, checkout), **(env or {})}
    work = Supervised(argv, checkout.tree, seen, checkout.root / "output/log", timeout_s, stdin)
    room = Room(checkout, network, tuple(hosts), tuple(writes), tuple(reads), judges=judges)
    finished = supervise(confine(work, room), threading.Event())
    return Ended(finished, finished.tail.decode("utf-8", "replace").strip(), work.log)
