"""(a) A four-stage run with a no-op agent and one `true` gate each, against a bare shell script.

The script does the same git work with the same isolation: a private store, a throw-away repository for each
workspace and each gate, a candidate commit made from the files, a durable ref, a branch in the user's repository.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = 4
FILES = 2_000
REPEATS = 3
GOAL = 1.5

PIPELINE = """version: 1
name: bench
agents:
  nothing: {use: command, run: ["true"]}
stages:
""" + "".join(
    f"""  s{number}:
    {f"needs: [s{number - 1}]" if number else "writes: []"}
    agent: nothing
    may_be_empty: true
    gates:
      - id: gate{number}
        run: "true"
"""
    for number in range(STAGES)
)

SCRIPT = r"""set -euo pipefail
repo=$1; work=$2
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
store=$work/store.git
git init -q --bare "$store"
s() { git --git-dir="$store" -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 -c core.fsync=all "$@"; }
s fetch -q --depth 1 "$repo" HEAD
base=$(s rev-parse FETCH_HEAD)
checkout() { # COMMIT FOLDER: plain files with a throw-away repository of one commit
    mkdir -p "$2"
    GIT_INDEX_FILE=$2.index s --work-tree="$2" read-tree "$1"
    GIT_INDEX_FILE=$2.index s --work-tree="$2" checkout-index -qa
    git -C "$2" init -q
    git -C "$2" add -A
    git -C "$2" -c user.name=a -c user.email=a@b -c gc.auto=0 commit -qm base --allow-empty
}
judge() { # COMMIT NAME
    checkout "$1" "$work/gate-$2"
    (cd "$work/gate-$2" && env -i PATH="$PATH" true)
    rm -rf "$work/gate-$2" "$work/gate-$2.index"
}
judge "$base" base
now=$base
for stage in 0 1 2 3; do
    checkout "$now" "$work/ws"
    (cd "$work/ws" && env -i PATH="$PATH" true)
    rm -rf "$work/ws/.git"
    GIT_INDEX_FILE=$work/ws.index s --work-tree="$work/ws" add -A
    tree=$(GIT_INDEX_FILE=$work/ws.index s write-tree)
    now=$(GIT_AUTHOR_NAME=i GIT_AUTHOR_EMAIL=i@l GIT_COMMITTER_NAME=i GIT_COMMITTER_EMAIL=i@l \
        s commit-tree -p "$now" -m "stage $stage" "$tree")
    s update-ref "refs/run/$stage" "$now" ""
    rm -rf "$work/ws" "$work/ws.index"
    judge "$now" "$stage"
done
git -C "$repo" fetch -q "$store" "refs/run/3:refs/heads/bench-$(basename "$work")"
"""


def measure() -> dict[str, float]:
    """Seconds of the best of a few, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        environ = environment(root)
        place = repository(root / "repo", environ, PIPELINE, FILES)
        scripts, runs = [], []
        for number in range(REPEATS):
            work = root / f"work{number}"
            work.mkdir()
            scripts.append(_script(place, work, environ))
            runs.append(timed(["run", "-t", "nothing"], place, environ))
            shutil.rmtree(work)
    return {"script_s": min(scripts), "interlock_s": min(runs), "ratio": min(runs) / min(scripts), "goal": GOAL}


def environment(root: Path) -> dict[str, str]:
    """Of a user who lives in `root`, whose Python keeps what it compiles."""
    ours = ("GIT_", "INTERLOCK_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    return {
        **kept,
        **who,
        "HOME": str(root),
        "INTERLOCK_SANDBOX": "none",
        "XDG_STATE_HOME": str(root / "state"),
        "XDG_CACHE_HOME": str(root / "cache"),
        "PYTHONPYCACHEPREFIX": str(root / "pyc"),
    }


def repository(folder: Path, environ: dict[str, str], pipeline: str, files: int) -> Path:
    """A repository of so many files with one commit."""
    folder.mkdir()
    for number in range(files):
        place = folder / f"pkg{number % 50}"
        place.mkdir(exist_ok=True)
        (place / f"module{number}.py").write_text(f"VALUE = {number}\n" * 40)
    (folder / "interlock.yaml").write_text(pipeline)
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "base"]):
        subprocess.run(["git", *words], cwd=folder, env=environ, check=True)
    return folder


def timed(words: list[str], cwd: Path, environ: dict[str, str], code: int = 0) -> float:
    """Seconds of `interlock WORDS`. Raises SystemExit where it ends with another code."""
    return _seconds([sys.executable, "-m", "interlock", *words], cwd, environ, code)


def _script(place: Path, work: Path, environ: dict[str, str]) -> float:
    return _seconds(["bash", "-c", SCRIPT, "bench", str(place), str(work)], work, environ, 0)


def _seconds(argv: list[str], cwd: Path, environ: dict[str, str], code: int) -> float:
    began = time.perf_counter()
    done = subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != code:
        raise SystemExit(f"{' '.join(argv[:4])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took
