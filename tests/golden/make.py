"""Makes a golden store: a few runs, one in each phase, by whatever version of Interlock is on the path.

`python tests/golden/make.py OUT.tar.gz`, with PYTHONPATH at the sources of that version; `scripts/golden` does it.
Rule: standard library only, and nothing of the tests, because old versions must be able to run it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

_AGENT = r"""
cat > /dev/null
echo '{"tokens_in": 900, "tokens_out": 120, "cost_usd": 0.01}' > "$INTERLOCK_USAGE"
case "$INTERLOCK_ATTEMPT" in
plan/*) printf '# Goal\nREQ-1: a number.\n' > "$ARTIFACTS/plan.md" ;;
code/1.1) rm tests/test_a.py ;;
code/1.2) echo 'no' > src/a.txt ;;
slow/1.1) sleep 600 ;;
left/*) echo left > src/left.txt; echo left > src/both.txt ;;
right/*) echo right > src/right.txt; echo right > src/both.txt ;;
both/*) echo both > src/both.txt ;;
*) echo yes > src/a.txt ;;
esac
"""
_CRITIC = r"""
cat > /dev/null
printf '{"verdict": "approve", "findings": [], "earlier": [], "requirements": []}'
"""
_REPORT = '<testsuite name="s" tests="1"><testcase classname="t" name="test_a" file="tests/test_a.py"/></testsuite>'
_HEAD = """\
version: 1
name: {name}
agents:
  coder: {{use: command, run: 'bash "$GOLDEN/agent.sh"', env: [GOLDEN], model: none}}
  critic: {{use: command, run: 'bash "$GOLDEN/critic.sh"', env: [GOLDEN]}}
"""
_FULL = """\
inputs:
  colour: {required: false, default: red}
setup:
  - run: mkdir -p deps && echo one > deps/one
    key: [tests/test_a.py]
    paths: [deps]
limits: {attempts: 20, tokens: 100000}
stages:
  plan:
    agent: coder
    writes: []
    produces:
      plan: {file: plan.md, sections: [Goal]}
  code:
    needs: [plan]
    agent: coder
    writes: [src/**]
    attempts: 3
    gates:
      - {id: build, run: grep -q yes src/a.txt || test ! -e src/a.txt}
      - {id: test, run: 'echo "$SUITE" > "$REPORT"', report: junit, env: [SUITE]}
      - {id: review, review: {by: [critic], rubric: Be strict.}}
    on_reject:
      - {gate: review, goto: plan, max: 1}
  ship:
    needs: [code]
    gates:
      - {id: merge, approve: Merge this?}
    on_reject:
      - {goto: code, max: 1}
"""
_JOINED = """\
stages:
  left: {agent: coder, gates: [{id: there, run: test -s src/both.txt || test ! -e src/left.txt}]}
  right: {agent: coder}
  both: {needs: [left, right], agent: coder}
"""
_NEVER = """\
stages:
  code:
    agent: coder
    attempts: 2
    gates: [{id: never, run: test ! -e src/a.txt}]
"""
_SLOW = """\
stages:
  slow: {agent: coder}
"""
PIPELINES = {"full": _FULL, "joined": _JOINED, "never": _NEVER, "slow": _SLOW}


def main(out: Path) -> None:
    """Writes `out`: `project`, and `state/interlock` with one folder in it."""
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        root = Path(folder)
        _prepare(root)
        _ask(root, "run", "-p", "full", "-t", "accepted", "--plain")
        _ask(root, "approve", "-m", "well done", "--plain")
        _ask(root, "run", "-p", "joined", "-t", "joined", "--plain")
        _ask(root, "run", "-p", "never", "-t", "cancelled", "--plain")
        _ask(root, "cancel", "-m", "no use", "--plain")
        _ask(root, "run", "-p", "full", "-t", "waits", "-i", "colour=blue", "--plain")
        _ask(root, "run", "-p", "never", "-t", "rejected", "--plain")
        _killed(root)
        _pack(root, out)


def _prepare(root: Path) -> None:
    project = root / "project"
    files = {"src/start.txt": "start\n", "tests/test_a.py": "def test_a(): pass\n"}
    for name, body in PIPELINES.items():
        files[f".interlock/pipelines/{name}.yaml"] = _HEAD.format(name=name) + body
    for name, text in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "home").mkdir()
    (root / "agent.sh").write_text(_AGENT)
    (root / "critic.sh").write_text(_CRITIC)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "start")):
        subprocess.run(["git", *words], cwd=project, env=environment(root), check=True)


def environment(root: Path) -> dict[str, str]:
    names = {f"GIT_{who}_NAME": "Somebody" for who in ("AUTHOR", "COMMITTER")}
    mails = {f"GIT_{who}_EMAIL": "somebody@example.invalid" for who in ("AUTHOR", "COMMITTER")}
    folders = {name: str(root / folder) for name, folder in _FOLDERS.items()}
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    own = {"SUITE": _REPORT, "GOLDEN": str(root), "INTERLOCK_BACKOFF_S": "0.05", "USER": "somebody"}
    return {**kept, **names, **mails, **folders, **own}


_FOLDERS = {"HOME": "home", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "home/config", "XDG_CACHE_HOME": "home/cache"}


def _ask(root: Path, *words: str) -> None:
    argv = [sys.executable, "-P", "-m", "interlock", *words]
    done = subprocess.run(argv, cwd=root / "project", env=environment(root), capture_output=True, check=False)
    said = done.stderr.decode().strip().splitlines()
    print(" ".join(("$ interlock", *words, "->", str(done.returncode))), *said[-2:], sep="\n  ")


def _killed(root: Path) -> None:
    """A run whose owner dies while its agent works, so that the journal has a write-ahead log beside it."""
    argv = [sys.executable, "-P", "-m", "interlock", "run", "-p", "slow", "-t", "in flight", "--plain"]
    with subprocess.Popen(argv, cwd=root / "project", env=environment(root), stderr=subprocess.PIPE) as owner:
        assert owner.stderr is not None
        for line in owner.stderr:
            if b" works" in line:
                break
        time.sleep(0.5)
        owner.send_signal(signal.SIGKILL)


def _pack(root: Path, out: Path) -> None:
    def wanted(item: tarfile.TarInfo) -> tarfile.TarInfo | None:
        item.uid = item.gid = 0
        item.uname = item.gname = ""
        return None if item.name.endswith(".sample") else item

    with tarfile.open(out, "w:gz") as packed:
        for name in ("project", "state", "agent.sh", "critic.sh"):
            packed.add(root / name, name, filter=wanted)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
