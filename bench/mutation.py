"""Mutation testing with mutmut: a seeded sample of the mutants of a package, each judged by the fast tests of it.

Run by `scripts/mutate`. Mutants that change a text alone (a string with a space in it) are not drawn. A mutant that no
test notices is printed as a diff.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SIMULATION = (
    "tests/simulation/test_transcripts.py",
    "tests/simulation/test_scenarios.py",
    "tests/simulation/test_campaign.py",
)
PACKAGES: dict[str, tuple[str, ...]] = {
    "core": (
        "tests/unit/core",
        "tests/unit/execution",
        "tests/unit/engines",
        "tests/unit/test_reconcile.py",
        *SIMULATION,
    ),
    "conventions": ("tests/unit/conventions",),
    "readmodel": ("tests/unit/readmodel", "tests/unit/core", "tests/unit/cli", "tests/simulation/test_transcripts.py"),
    "text": ("tests/unit/text", "tests/unit/agents"),
    "execution": ("tests/unit/execution", "tests/unit/engines", *SIMULATION),
    "workspaces": ("tests/unit/workspaces",),
    "gates": ("tests/unit/gates",),
}
LEFT_OUT = (  # tests that read the source, and those that take seconds
    "tests/unit/core/test_transitions.py::test_one_function_sets_the_phase_of_a_stage",
    "tests/simulation/test_campaign.py::test_every_promise_holds_after_every_event_and_every_transition_is_taken",
    "tests/simulation/test_campaign.py::test_every_command_of_many_runs_is_read_back_as_it_was_written",
    "tests/simulation/test_campaign.py::test_a_transition_that_is_never_taken_is_named_and_fails_the_campaign",
    "tests/simulation/test_scenarios.py::test_every_kind_of_scenario_is_there",
)
COPIED = ("src", "tests", "docs", "demo", "scripts", "bench")
SURVIVED, UNREACHED, OPEN = 0, (5, 33), None  # exit codes that mutmut keeps; any other one is a kill


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(PACKAGES)}; all of them")
    parser.add_argument("--sample", type=int, default=200, help="mutants of each package")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20, help="for each package, at most")
    given = parser.parse_intermixed_args(arguments)
    if unknown := set(given.packages) - set(PACKAGES):
        parser.error(f"no such package: {', '.join(sorted(unknown))}: there are {', '.join(PACKAGES)}")
    for package in given.packages or PACKAGES:
        folder = given.home.resolve() / package
        _copy(folder, package)
        _mutmut(folder, ["no mutant has this name"], 300)  # makes them all, and asks none
        drawn = _sample(folder, given.sample, f"{given.seed} {package}")
        _mutmut(folder, drawn, given.minutes * 60)
        _report(folder, package, drawn)
    return 0


def _copy(folder: Path, package: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in COPIED:
        shutil.copytree(name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    arguments = ["-p", "no:xdist", "-p", "no:cacheprovider", "-q", "--hypothesis-seed=0"]
    settings = {
        "source_paths": ["src/"],
        "only_mutate": [f"src/interlock/{package}/*"],
        "also_copy": [f"{name}/" for name in COPIED if name not in ("src", "tests")],
        "pytest_add_cli_args": arguments + [f"--deselect={name}" for name in LEFT_OUT],
        "pytest_add_cli_args_test_selection": list(PACKAGES[package]),
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    lines += ["use_git_change_detection = false", "track_dependencies = false", "timeout_constant = 10.0"]
    project = Path("pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([project, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def _mutmut(folder: Path, words: list[str], seconds: float) -> None:
    """One mutant at a time, until the time is over."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *words]
    with (
        (folder / "mutmut.log").open("a") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)


def _sample(folder: Path, count: int, seed: str) -> list[str]:
    names = sorted(name for path in _metas(folder) for name in _meaningful(path))
    if not names:
        raise SystemExit(f"mutmut made no mutants: {_end_of_log(folder)}")
    return sorted(random.Random(seed).sample(names, min(count, len(names))))


def _metas(folder: Path) -> Iterator[Path]:
    yield from sorted((folder / "mutants" / "src").rglob("*.py.meta"))


def _meaningful(meta: Path) -> Iterator[str]:
    """Names of the mutants of a file that change more than a text."""
    tree = ast.parse(meta.with_suffix("").read_text(encoding="utf-8"))
    shapes = {node.name: _shape(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for name in json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]:
        function = name.rpartition(".")[2]
        original = f"{function.rpartition('__mutmut_')[0]}__mutmut_orig"
        if function in shapes and shapes[function] != shapes.get(original):
            yield name


def _shape(function: ast.FunctionDef) -> str:
    """The function without its name, its texts, and what is handed to `assert_never`, which is never called."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "assert_never":
            node.args = []
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            node.value = ""
    return ast.dump(ast.Module(function.body, []))


def _report(folder: Path, package: str, drawn: list[str]) -> None:
    codes: dict[str, int | None] = {}
    for path in _metas(folder):
        codes.update(json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"])
    if all(codes[name] is OPEN for name in drawn):
        raise SystemExit(f"mutmut asked no tests; do they pass without a mutant? {_end_of_log(folder)}")
    unnoticed = [name for name in drawn if codes[name] in (SURVIVED, *UNREACHED)]
    for name in unnoticed:
        print(_diff(folder, name))
    seen = Counter("open" if codes[name] is OPEN else "asked" for name in drawn)
    unreached = sum(codes[name] in UNREACHED for name in drawn)
    asked = max(1, seen["asked"])
    killed = seen["asked"] - len(unnoticed)
    print(
        f"{package}: {killed} of {seen['asked']} mutants killed ({killed / asked:.0%}); "
        f"{len(unnoticed) - unreached} survived, {unreached} in functions that none of these tests reach"
        + (f"; {seen['open']} not asked in time" if seen["open"] else ""),
        flush=True,
    )


def _end_of_log(folder: Path) -> str:
    return (folder / "mutmut.log").read_text(encoding="utf-8", errors="replace")[-2000:]


def _diff(folder: Path, name: str) -> str:
    command = [str(Path(sys.executable).with_name("mutmut")), "show", name]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
