"""What the tests of gates need of the world, small and real: git trees, clean checkouts, blobs, a journal's cache."""

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from interlock.agents import adapters
from interlock.core.ids import AttemptId
from interlock.core.pipeline import CommandLine, Gate, GateKind, Pipeline, Scope, Stage
from interlock.gates.locks import Slots
from interlock.gates.referee import GateContext, Referee
from interlock.ports import Change, Checkout, CheckoutSpec, GateRequest, Judgement, Stamp, UsageError
from interlock.text.globs import matches_any


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


class Trees:
    """As much of ports.Workspaces as gates use, on one repository."""

    def __init__(self, root: Path) -> None:
        self.repository = root / "repository"
        self.repository.mkdir(parents=True)
        git("init", "-q", cwd=self.repository)
        self.rooms = 0
        self.setup = "what setup made"  # its digest
        self.unfit: Exception | None = None  # what setup fails with
        self._one = threading.Lock()  # git has one index
        self._root = root

    def touched(self, checkout: Checkout, commit: str) -> tuple[str, ...]:
        del checkout
        return self.files(commit, ("/**",))

    def commit(self, files: Mapping[str, str | bytes | None], parent: str = "") -> str:
        """`parent` with `files` written (None: deleted), as a commit."""
        if parent:
            git("checkout", "-qf", parent, cwd=self.repository)
        for name, content in files.items():
            path = self.repository / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.seal()

    def seal(self) -> str:
        git("add", "-Af", cwd=self.repository)
        git("commit", "-q", "--allow-empty", "-m", "test", cwd=self.repository)
        return git("rev-parse", "HEAD", cwd=self.repository)

    def tree(self, commit: str) -> str:
        return git("rev-parse", f"{commit}^{{tree}}", cwd=self.repository)

    def read(self, commit: str, path: str, max_bytes: int) -> bytes | None:
        entry = git("ls-tree", commit, "--", path, cwd=self.repository).split()
        if not entry or not entry[0].startswith("100"):
            return None
        content = subprocess.run(
            ["git", "cat-file", "blob", entry[2]], cwd=self.repository, capture_output=True, check=True
        ).stdout
        if len(content) > max_bytes:
            raise UsageError(f"{path} is larger than {max_bytes}")
        return content

    def contents(self, commit: str, paths: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        for path in paths:
            entry = git("ls-tree", commit, "--", path, cwd=self.repository).split()
            if entry and entry[1] == "blob":
                argv = ["git", "cat-file", "blob", entry[2]]
                yield path, iter([subprocess.run(argv, cwd=self.repository, capture_output=True, check=True).stdout])

    def files(self, commit: str, globs: Sequence[str]) -> tuple[str, ...]:
        names = git("ls-tree", "-r", "-z", "--name-only", commit, cwd=self.repository).split("\0")
        return tuple(name for name in names if name and matches_any(globs, name))

    def changes(self, old: str, new: str) -> tuple[Change, ...]:
        raw = git("diff-tree", "-r", "-z", "--no-renames", old, new, cwd=self.repository).split("\0")
        stat = git("diff-tree", "-r", "-z", "--no-renames", "--numstat", old, new, cwd=self.repository).split("\0")
        lines = {line.split("\t")[2]: line.split("\t")[:2] for line in stat if line}
        found = []
        for meta, path in zip(raw[0::2], raw[1::2], strict=False):
            old_mode, new_mode, _, _, status = meta.removeprefix(":").split()
            status = "T" if status == "M" and meta.split()[2] == meta.split()[3] else status
            added, removed = (int(n) if n.isdecimal() else 0 for n in lines.get(path, ("0", "0")))
            found.append(Change(path, status, old_mode, new_mode, added, removed))
        return tuple(found)

    def patch(self, old: str, new: str, without: Sequence[str] = (), *, text: Sequence[str] = ()) -> bytes:
        return git("diff", "--text" if text else "--binary", old, new, "--", *text, cwd=self.repository).encode()

    def checkout_digest(self, commit: str, base: str, spec: CheckoutSpec) -> str:
        if isinstance(self.unfit, Exception):
            raise self.unfit
        return f"{commit} {base} {self.setup if spec.setup else ''}"

    def restore(self, commit: str, onto: str, globs: Sequence[str], stamp: Stamp) -> str:
        git("checkout", "-qf", commit, cwd=self.repository)
        for change in self.changes(commit, onto):
            if matches_any(globs, change.path) and change.status == "D":
                git("rm", "-qf", "--", change.path, cwd=self.repository)
            elif matches_any(globs, change.path):
                git("checkout", "-q", onto, "--", change.path, cwd=self.repository)
        return self.seal()

    def write_contents(self, commit: str, contents: Mapping[str, bytes], stamp: Stamp) -> str:
        git("checkout", "-qf", commit, cwd=self.repository)
        for path, content in contents.items():
            (self.repository / path).parent.mkdir(parents=True, exist_ok=True)
            (self.repository / path).write_bytes(content)
        return self.seal() if contents else commit

    @contextmanager
    def clean_checkout(self, commit: str, base: str, spec: CheckoutSpec) -> Iterator[Checkout]:
        with self._one:
            self.rooms += 1
            root = self._root / f"gate-{self.rooms}"
            checkout = Checkout(root, root / "tree", root / "home", root / "tmp", sandbox=spec.sandbox)
            for folder in (checkout.tree, checkout.home, checkout.tmp):
                folder.mkdir(parents=True)
            git("--work-tree", str(checkout.tree), "checkout", "-qf", commit, "--", ".", cwd=self.repository)
        try:
            yield checkout
        finally:
            shutil.rmtree(root)


class Cellar:
    """Blobs in a folder, and the journal's cache in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir()
        self.kept: dict[tuple[str, str], str] = {}

    def put_file(self, path: Path) -> tuple[str, int]:
        return self.put(path.read_bytes()), path.stat().st_size

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.path(digest).write_bytes(content)
        return digest

    def get(self, digest: str) -> bytes:
        return self.path(digest).read_bytes()

    def size(self, digest: str) -> int | None:
        return self.path(digest).stat().st_size if self.path(digest).exists() else None

    def path(self, digest: str) -> Path:
        return self._folder / digest

    def remember(self, kind: str, key: str, value: str) -> None:
        self.kept.setdefault((kind, key), value)

    def recall(self, kind: str, key: str) -> str | None:
        return self.kept.get((kind, key))


class World:
    """A repository, a referee, and shorthands for cases."""

    def __init__(self, root: Path, environ: Mapping[str, str] | None = None) -> None:
        self.trees = Trees(root)
        self.cellar = Cellar(root / "blobs")
        self.cancel = threading.Event()
        self.context = GateContext(
            self.trees, self.cellar, self.cellar, {**os.environ, **(environ or {})}, root / "locks",
            Slots(root / "slots"), adapters({}, self.trees.repository),
        )  # fmt: skip
        self.referee = Referee(self.context)

    def request(
        self, gate: Gate, commit: str, input_commit: str, stage: Stage | None = None, **more: object
    ) -> GateRequest:
        stage = stage or Stage("code", agent="coder", gates=(gate,))
        pipeline = Pipeline("test", (stage,))
        values = {
            "run": "r", "subject": AttemptId(stage.id, 1, 1), "stage": stage, "gate": gate, "pipeline": pipeline,
            "commit": commit, "tree": self.trees.tree(commit), "input_commit": input_commit,
            "input_tree": self.trees.tree(input_commit), "base_commit": input_commit, "values": {},
            "sandbox": os.environ.get("INTERLOCK_SANDBOX", "none"), **more,
        }  # fmt: skip
        return GateRequest(**values)

    def judge(self, gate: Gate, commit: str, input_commit: str, stage: Stage | None = None, **more) -> Judgement:
        return self.referee.evaluate(self.request(gate, commit, input_commit, stage, **more), self.cancel)

    def scope(self, scope: Scope, commit: str, input_commit: str, **more: object) -> Judgement:
        gate = Gate("scope", GateKind.SCOPE)
        may_be_empty = bool(more.pop("may_be_empty", False))
        stage = Stage("code", agent="coder", scope=scope, gates=(gate,), may_be_empty=may_be_empty)
        return self.judge(gate, commit, input_commit, stage, **more)

    def evidence(self, judgement: Judgement, name: str) -> bytes:
        return next(self.cellar.get(item.digest) for item in judgement.evidence if item.name == name)


def run_gate(shell: str, **more: object) -> Gate:
    return Gate("check", GateKind.RUN, CommandLine(shell=shell), **more)
