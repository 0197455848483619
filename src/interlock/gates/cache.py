"""The cache of runs: their keys and the verdicts' keys, which are digests of all that they may depend on.

Rule: when in doubt it is in the key. A run depends on what its command can see: the files, base and candidate in
`.git`, what setup installed, held-out files, the environment, the programs and packages of this machine. It does not
depend on the caller: the names of pipeline, stage and gate, the baseline and what is expected belong to the verdict's
key. Runs are kept, never what was concluded from them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from interlock.core.codec import object_reader, object_writer
from interlock.core.events import Evidence
from interlock.core.pipeline import Baseline, CommandLine, Expect
from interlock.gates.canary import MustFail
from interlock.gates.held_out import HeldOut
from interlock.gates.held_out import digest as digest_held_out
from interlock.gates.referee import GateContext
from interlock.gates.reports import MESSAGE_MAX, junit
from interlock.gates.running import CommandRun
from interlock.ports import GateRequest, InfrastructureError
from interlock.process import How, capture, scrubbed


def tools_of(request: GateRequest, environ: Mapping[str, str]) -> str:
    """A digest, in hex, of what this machine judges with: the programs of the command and of setup, the packages, the
    system. Reports with one of them can be compared."""
    path = scrubbed(environ).get("PATH", os.defpath)
    found = programs(request.gate.command or CommandLine(), path)
    return digest_of(
        found,
        tuple(programs(setup.command, path) for setup in request.pipeline.setup),
        packages([name for name, *_ in found], path),
        tuple(os.uname())[0:1] + tuple(os.uname())[2:],  # without the machine's name
    )


def run_key(
    request: GateRequest,
    environ: Mapping[str, str],
    values: Mapping[str, str],
    digests: tuple[str, str],
    held_out: HeldOut,
) -> str:
    """The key of a run, in hex. `values` are those of the pipeline's run that the command sees, `digests` are of the
    clean checkout and of the tools. Raises HeldOutMissing if the held-out files do not exist."""
    gate = request.gate
    env = scrubbed(environ, (*gate.env, *gate.secrets))
    relevant = replace(
        gate, id="", digest="", used="", held_out="", base_green=False, baseline=Baseline.KEEP, expect=Expect.PASS
    )
    return digest_of(
        relevant,
        request.tree,
        digests,
        _held_out(held_out.source(gate.held_out)) if gate.held_out else (),
        tuple(sorted({**env, **values}.items())),
        request.sandbox,
    )


def verdict_key(request: GateRequest, run: str) -> str:
    """The key of a verdict, in hex: the run, and what it is judged by."""
    alone = (request.subject.is_base, request.subject.is_input)
    without = request.input_tree if request.gate.expect is Expect.TESTS_PROVE_CHANGE else ""
    return digest_of(
        run,
        request.gate,
        request.baseline,
        request.on_base,
        request.elsewhere,
        request.decided_on_input,
        alone,
        without,
    )


def digest_of(*parts: object) -> str:
    """A sha256 over the parts' representations. Parts are text, bytes, numbers, tuples and frozen values of ours."""
    digest = hashlib.sha256()
    for part in parts:
        text = repr(part).encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(text) + text)
    return digest.hexdigest()


def _held_out(source: Path) -> tuple[str, str]:
    """The digest of the files, and what the command sees of their name."""
    return digest_held_out(source), source.suffix if source.is_file() else ""


_WORDS_MAX = 100
_PATHS = "import json, sys; print(json.dumps(sys.path))"
_DATED = (".dist-info", ".egg-info", ".egg-link", ".pth")

Program = tuple[str, int, int]  # its path, its size and the time of its last change


def programs(command: CommandLine, path: str) -> tuple[Program, ...]:
    """Every program that a word of the command may name."""
    words = re.findall(r"[\w./+-]+", " ".join(command.words))[:_WORDS_MAX]
    found = {shutil.which(word, path=path) for word in words}
    return tuple(_identity(Path(program)) for program in sorted(filter(None, found)))


def packages(named: Sequence[str], path: str) -> tuple[tuple[str, ...], ...]:
    """What can be imported by the interpreters on PATH and by those of the scripts `named`: names, and the time of the
    last change for entries that tell a version."""
    folders: list[str] = []
    for python in sorted({*_pythons(path), *filter(None, map(_python_of, named))}):
        folders += _import_path(python, path, _identity(Path(python)))
    node = shutil.which("node", path=path)
    modules = [str(Path(node).resolve().parent.parent / "lib/node_modules")] if node else []
    return tuple((folder, *sorted(_entries(folder))) for folder in dict.fromkeys([*folders, *modules]))


def _pythons(path: str) -> Iterator[str]:
    """python3 and python; only the first if they are alike in one folder (a link, or a version manager's wrapper)."""
    first, second = (shutil.which(name, path=path) for name in ("python3", "python"))
    if first:
        yield first
    if second and not (first and _are_alike(Path(first), Path(second))):
        yield second


def _are_alike(one: Path, other: Path) -> bool:
    return one.parent == other.parent and one.stat().st_size == other.stat().st_size


def _identity(program: Path) -> Program:
    status = program.stat()
    return str(program.resolve()), status.st_size, status.st_mtime_ns


def _python_of(program: str) -> str | None:
    """The interpreter of a script, such as a `pytest` that was installed with an environment of its own."""
    try:
        with Path(program).open("rb") as file:
            first = file.read(500).split(b"\n")[0]
    except OSError:
        return None
    found = re.match(rb"#!\s*(/\S*python[\d.]*)\s*", first)
    return found[1].decode(errors="surrogateescape") if found and Path(os.fsdecode(found[1])).exists() else None


@lru_cache(maxsize=64)
def _import_path(python: str, path: str, identity: Program) -> tuple[str, ...]:
    """The folders of packages of an interpreter, as it reports them; none if it fails."""
    del identity  # another program at the same path is asked again
    try:
        done = capture([python, "-I", "-B", "-c", _PATHS], cwd=Path("/"), env={"PATH": path}, timeout_s=20)
        found = json.loads(done.out) if done.code == 0 else []
    except (InfrastructureError, ValueError):
        found = []
    return tuple(folder for folder in found if folder.endswith(("site-packages", "dist-packages")))


def _entries(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        dated = entry.name.endswith(_DATED) or folder.endswith("node_modules")
        if entry.name != "__pycache__":
            yield f"{entry.name} {entry.stat(follow_symlinks=False).st_mtime_ns}" if dated else entry.name


_KIND = "ran/4"
_TAIL_BYTES = MESSAGE_MAX * 4  # what a finding can show of it


@dataclass(frozen=True, slots=True)
class _Kept:
    """`tail` is base64."""

    code: int
    tail: str
    evidence: tuple[Evidence, ...]
    tree: str
    must_fail: MustFail
    changed: tuple[str, ...] = ()


def recall(context: GateContext, key: str) -> tuple[CommandRun, ...]:
    """The runs kept under `key`; none if they cannot be read or their evidence is gone."""
    text = context.cache.recall(_KIND, key)
    if text is None:
        return ()
    try:
        kept = [object_reader(_Kept)(run) for run in json.loads(text)]
        if any(context.blobs.size(item.digest) != item.size for run in kept for item in run.evidence):
            return ()  # gone or cut short; the digest of a report is checked when it is read
        return tuple(_ran(context, run) for run in kept)
    except (InfrastructureError, ValueError, TypeError, KeyError):
        return ()


def remember(context: GateContext, key: str, runs: Sequence[CommandRun]) -> None:
    """Keep runs that ended by themselves and left a report if one was expected."""
    write = object_writer(_Kept)
    context.cache.remember(_KIND, key, json.dumps([write(_kept(run)) for run in runs]))


def _kept(ran: CommandRun) -> _Kept:
    tail = b64encode(ran.tail[-_TAIL_BYTES:]).decode() if ran.code else ""
    return _Kept(ran.code or 0, tail, ran.evidence, str(ran.tree), ran.must_fail, ran.changed)


def _ran(context: GateContext, kept: _Kept) -> CommandRun:
    report = next((context.blobs.get(item.digest) for item in kept.evidence if item.name == "report"), None)
    contents = None if report is None else junit.split(report)
    tail, tree = b64decode(kept.tail), Path(kept.tree)
    ran = CommandRun(How.EXITED, kept.code, tail, contents, kept.evidence, tree, must_fail=kept.must_fail)
    return replace(ran, changed=kept.changed)
