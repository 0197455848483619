"""A user's repository, a state folder and the real program, for the tests of bad input.

Rule: whatever was asked, `Ground.ask` sees that no trace was printed, that nothing in the user's repository
changed but a delivered branch, and that no process is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.contract.program import forked, needs_a_start, started

LIMIT_S = 120  # only a hang meets it
_PIPELINE = """\
version: 1
name: quick
agents:
  own:
    use: command
    run: [bash, -c, {agent}]
defaults: {{attempts: {attempts}, timeout: {timeout}, idle_timeout: {timeout}}}
stages:
  code:
    agent: own
    gates:
      - id: done
        run: {gate}
"""
_DELIVERED = re.compile(r"(^|/)\.git/(modules/\w+/)?(objects/|(logs/)?refs/heads/interlock|interlock-id$)")
GOOD = "echo done > made.txt"


@dataclass(frozen=True)
class Said:
    """What the program said. `clean` fails the test where it is not as every answer must be."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return (self.out + self.err).decode("utf-8", "backslashreplace")

    def clean(self) -> Said:
        assert "Traceback" not in self.text, self.text
        assert "a bug in Interlock" not in self.text, self.text
        return self

    def refused(self, *words: str, code: int = 2) -> Said:
        """It ended with `code`, one message, and each of `words` in it."""
        assert self.code == code, self.text
        assert b"error: " in self.err, self.text
        for word in words:
            assert word in self.text, self.text
        return self


def git(folder: Path, *words: str | bytes, **environ: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False, env={**os.environ, **environ})
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def repository(folder: Path, *init: str, commit: bool = True) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", *init)
    (folder / "a.txt").write_text("one\n")
    if commit:
        committed(folder)
    return folder


def committed(folder: Path, message: str = "change") -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--no-verify", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@dataclass
class Ground:
    """`root` is the test's folder, `repository` in it the user's. The pipeline lies there uncommitted."""

    root: Path
    repository: Path
    environ: dict[str, str] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()  # parts of the repository that the test itself changes meanwhile

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def environment(self, **more: str | None) -> dict[str, str]:
        """The test's own, with `more`; None takes a name away."""
        own = {"XDG_STATE_HOME": str(self.state), "XDG_CACHE_HOME": str(self.cache)}
        given = {**own, "INTERLOCK_BACKOFF_S": "0.01", **self.environ, **more}
        return {name: value for name, value in {**os.environ, **given}.items() if value is not None}

    def pipeline(
        self, agent: str = GOOD, gate: str = "test -s made.txt", attempts: int = 1, timeout: str = "100s"
    ) -> Path:
        """A pipeline of one stage: `agent` and `gate` are lines of bash."""
        path = self.repository / "interlock.yaml"
        path.write_text(_PIPELINE.format(agent=_quoted(agent), gate=_quoted(gate), attempts=attempts, timeout=timeout))
        return path

    def ask(self, *words: str | bytes, stdin: bytes = b"", cwd: Path | None = None, **environ: str | None) -> Said:
        """Call the program and hold it to the rule above. It is forked, unless Python is to start otherwise."""
        before = fingerprint(self.repository, self.unseen)
        call = started if needs_a_start({**self.environ, **environ}) else forked
        ended = call(
            tuple(map(os.fsdecode, words)), cwd or self.repository, self.environment(**environ), stdin, LIMIT_S
        )
        self.untouched(before)
        return Said(*ended).clean()

    def run(self, *words: str | bytes, **given: object) -> Said:
        """`interlock run` with the pipeline of the last call of `pipeline`, or the plain good one."""
        if not (self.repository / "interlock.yaml").exists():
            self.pipeline()
        return self.ask("run", "-t", "do it", "--plain", *words, **given)  # type: ignore[arg-type]

    def untouched(self, before: dict[str, str]) -> None:
        differing = changed(before, fingerprint(self.repository, self.unseen))
        assert not differing, differing
        left = alive(self.root)
        assert not left, left

    def delivered(self, said: Said) -> str:
        """The branch of an accepted run."""
        assert said.code == 0, said.text
        line = next(line for line in said.out.decode().splitlines() if " accepted: branch " in line)
        return line.split("branch ")[1].split(" ")[0]

    def content(self, branch: str, path: str | bytes) -> bytes:
        where = branch.encode() + b":" + (path if isinstance(path, bytes) else path.encode())
        return subprocess.run(
            ["git", "cat-file", "blob", where], cwd=self.repository, capture_output=True, check=True
        ).stdout


def fingerprint(folder: Path, unseen: Sequence[str] = ()) -> dict[str, str]:
    """Every file by mode, time and content, git's own included. git makes objects that it meets young again."""
    found = {}
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(at) / name
            short = str(path.relative_to(folder))
            if not short.startswith(tuple(unseen)) if unseen else True:
                found[short] = _looks(path)
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Paths that are not as they were. New objects, new branches under interlock/ and the id are what was asked for."""
    differing = [path for path in before | after if before.get(path) != after.get(path)]
    return [path for path in differing if path in before or not _of_delivery(path)]


def alive(root: Path, patience_s: float = 5) -> list[str]:
    """Processes that have to do with `root`, after they had a moment to vanish; nothing where there is no /proc."""
    until = time.monotonic() + patience_s
    while (found := list(_of(os.fsencode(root)))) and time.monotonic() < until:
        time.sleep(0.02)
    return found


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A small file system at `folder`; skips where the machine does not allow it."""
    if os.getuid() != 0 or shutil.which("mount") is None or sys.platform != "linux":
        pytest.skip("a small file system can be mounted by root on Linux only")
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """Whatever happened in the test, nothing stays."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()


def _quoted(line: str) -> str:
    return "'" + line.replace("'", "''").replace("\n", "\n\n") + "'"


def _looks(path: Path) -> str:
    try:
        status = path.lstat()
    except OSError:
        return "gone"
    if stat.S_ISLNK(status.st_mode):
        return f"link {os.readlink(path)!r}"  # noqa: PTH115 - the target as it is written
    if not stat.S_ISREG(status.st_mode):
        return f"{status.st_mode:o}"
    at = 0 if "/objects/" in str(path) else status.st_mtime_ns
    with path.open("rb") as file:
        return f"{status.st_mode:o} {at} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def _of_delivery(path: str) -> bool:
    return _DELIVERED.search(path) is not None


def _of(root: bytes) -> Iterator[str]:
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            about = (words, (entry / "environ").read_bytes(), os.fsencode((entry / "cwd").readlink()))
            if any(root in each for each in about):
                yield f"{entry.name} {words!r}"
