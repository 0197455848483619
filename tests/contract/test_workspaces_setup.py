"""Setup and carry: made once, copied into each place, settled there, and never part of a candidate."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, git, make_world, write

from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import Checkout, CheckoutSpec, InfrastructureError, UsageError


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    with made.workspaces:
        yield made


def counting(world: World, key: tuple[str, ...] = (), settle: str = "") -> Setup:
    """A recipe that counts how often it was run."""
    line = f"mkdir -p deps && echo $RANDOM$RANDOM > deps/id && pwd > deps/where && echo run >> {world.root}/runs"
    return Setup(CommandLine(shell=line), key, ("deps",), CommandLine(shell=settle) if settle else None)


def runs(world: World) -> int:
    return (world.root / "runs").read_text().count("run")


def test_made_once_copied_into_each_place_and_left_out(world: World) -> None:
    base = world.base().commit
    spec = CheckoutSpec(setup=(counting(world),))
    first, second = world.open(base, 1, spec), world.open(base, 2, spec)
    assert (first.tree / "deps/id").read_text() == (second.tree / "deps/id").read_text()
    assert (first.tree / "deps/id").stat().st_ino != (second.tree / "deps/id").stat().st_ino
    (first.tree / "deps/id").write_text("tampered")
    candidate = world.snapshot(first, base, 1, spec)
    assert candidate.tree == world.base().tree
    assert candidate.left_out == ("deps/",)
    with world.workspaces.clean_checkout(candidate.commit, base, spec) as clean:
        assert (clean.tree / "deps/id").read_text() == (second.tree / "deps/id").read_text()
    assert runs(world) == 1


def test_the_checkout_it_was_made_in_is_gone(world: World) -> None:
    checkout = world.open(world.base().commit, 1, CheckoutSpec(setup=(counting(world),)))
    made_in = Path((checkout.tree / "deps/where").read_text().strip())
    assert made_in != checkout.tree
    assert not made_in.exists()
    assert list(world.gates.glob("*")) == []


def test_a_changed_key_file_makes_it_anew(world: World) -> None:
    write(world.repository, {"deps.lock": "1\n"})
    commit_all(world.repository)
    base = world.base().commit
    spec = CheckoutSpec(setup=(counting(world, key=("*.lock",)),))
    checkout = world.open(base, 1, spec)
    write(checkout.tree, {"deps.lock": "2\n"})
    candidate = world.snapshot(checkout, base, 1, spec)
    with world.workspaces.clean_checkout(candidate.commit, base, spec) as clean:
        assert (clean.tree / "deps/id").read_text() != (checkout.tree / "deps/id").read_text()
    assert runs(world) == 2
    world.open(base, 3, spec)
    assert runs(world) == 2


def test_settle_runs_in_each_checkout_and_what_it_leaves_stays_out(world: World) -> None:
    base = world.base().commit
    breaks = "echo broken > a.txt; rm -r src/deep; chmod +x src/lib.py"
    settle = f"pwd > deps/where; mkdir -p src/egg; touch src/egg/info; {breaks}"
    spec = CheckoutSpec(setup=(counting(world, settle=settle),))
    checkout = world.open(base, 1, spec)
    assert (checkout.tree / "deps/where").read_text().strip() == str(checkout.tree)
    assert (checkout.tree / "a.txt").read_text() == "one\ntwo\n"
    assert git(checkout.tree, "status", "--porcelain") == ""  # git does not take it for work either
    write(checkout.tree, {"src/new.py": "n\n"})
    candidate = world.snapshot(checkout, base, 1, spec)
    assert [change.path for change in world.workspaces.changes(base, candidate.commit)] == ["src/new.py"]
    assert candidate.left_out == ("deps/", "src/egg/")


@pytest.mark.parametrize("name", ["index", "info/exclude", "shallow", "refs/heads/from"])
def test_links_that_settle_leaves_in_the_repository_are_not_followed(world: World, tmp_path: Path, name: str) -> None:
    base, mine = world.base().commit, tmp_path / "mine"
    side = world.attempted({"src/side.py": "s\n"}, base, 1).commit
    mine.mkdir() if name.endswith("from") else mine.write_text("mine")
    settle = f"touch src/egg; rm -f .git/{name}; ln -s {mine} .git/{name}"
    spec = CheckoutSpec(setup=(counting(world, settle=settle),), sides=(("other", side),))
    try:
        git(world.open(base, 2, spec).tree, "diff", "--stat", "from/other")
    except InfrastructureError:
        assert name == "refs/heads/from", "a folder that is none"
    assert list(mine.iterdir()) == [] if mine.is_dir() else mine.read_text() == "mine"


def test_a_link_that_settle_leaves_in_place_of_the_repository_is_not_followed(world: World, tmp_path: Path) -> None:
    base, mine = world.base().commit, tmp_path / "mine"
    (mine / "info").mkdir(parents=True)
    settle = f"touch src/egg; mv .git .gone; ln -s {mine} .git"
    with pytest.raises(InfrastructureError, match=r"\.git/"):
        world.open(base, 1, CheckoutSpec(setup=(counting(world, settle=settle),)))
    assert [path for path in mine.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("which", ["setup", "settle"])
def test_a_failure_tells_the_end_of_the_output_and_leaves_nothing(world: World, which: str) -> None:
    fails = "seq 100; echo the reason >&2; exit 3"
    setup = Setup(CommandLine(shell=fails if which == "setup" else "true"), settle=CommandLine(shell=fails))
    base = world.base().commit
    with pytest.raises(InfrastructureError, match=r"(?s)exit code 3: the reason\n.*99\n100\nthe reason") as failed:
        world.open(base, 1, CheckoutSpec(setup=(setup,)))
    assert "\n50\n" not in str(failed.value)
    assert [path for one in (world.places, world.gates) for path in one.rglob("*") if path.is_file()] == []


def test_a_command_that_is_missing_or_takes_too_long(world: World) -> None:
    base = world.base().commit
    with pytest.raises(InfrastructureError, match="no-such-program"):
        world.open(base, 1, CheckoutSpec(setup=(Setup(CommandLine(argv=("no-such-program",))),)))
    with pytest.raises(InfrastructureError, match="timed out"):
        world.open(base, 1, CheckoutSpec(setup=(Setup(CommandLine(argv=("sleep", "60")), timeout_s=1),)))


def test_a_path_that_was_not_left_is_said(world: World) -> None:
    with pytest.raises(InfrastructureError, match=r"did not create \.venv"):
        world.open(world.base().commit, 1, CheckoutSpec(setup=(Setup(CommandLine(shell="true"), paths=(".venv",)),)))


def test_later_recipes_see_what_earlier_ones_left(world: World) -> None:
    second = Setup(CommandLine(shell="cp deps/id second"), paths=("second",))
    checkout = world.open(world.base().commit, 1, CheckoutSpec(setup=(counting(world), second)))
    assert (checkout.tree / "second").read_text() == (checkout.tree / "deps/id").read_text()
    assert runs(world) == 1


# --- the candidate is what is judged, not the base


def run_in(checkout: Checkout, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=checkout.tree,
        env={"HOME": str(checkout.home), **dict(checkout.env)},
        capture_output=True,
        text=True,
        check=False,
    )


VENV = """\
python3 -m venv --without-pip .venv
site=$(echo .venv/lib/python*/site-packages)
echo "$PWD/src" > "$site/__editable__.pth"
"""
SETTLE = 'for site in .venv/lib/python*/site-packages; do echo "$PWD/src" > "$site/__editable__.pth"; done'


def test_programs_find_the_crates_that_setup_fetched(world: World) -> None:
    spec = CheckoutSpec(setup=(Setup(CommandLine(shell="mkdir .cargo-home"), paths=(".cargo-home",)),))
    with world.workspaces:
        checkout = world.open(world.base().commit, 1, spec)
    assert dict(checkout.env) == {"CARGO_HOME": str(checkout.tree / ".cargo-home"), "CARGO_NET_OFFLINE": "true"}


@pytest.mark.parametrize("settled", [True, False])
def test_an_editable_install_leads_to_the_checkout_at_hand(
    world: World, monkeypatch: pytest.MonkeyPatch, settled: bool
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    world = make_world(world.root / "python", world.repository)
    setup = Setup(CommandLine(shell=VENV), paths=(".venv",), settle=CommandLine(shell=SETTLE) if settled else None)
    spec = CheckoutSpec(setup=(setup,))
    with world.workspaces:
        base = world.base().commit
        checkout = world.open(base, 1, spec)
        (checkout.tree / "src/lib.py").write_text("def f():\n    return 'the candidate'\n")
        candidate = world.snapshot(checkout, base, 1, spec)
        with world.workspaces.clean_checkout(candidate.commit, base, spec) as clean:
            assert dict(clean.env)["VIRTUAL_ENV"] == str(clean.tree / ".venv")
            said = run_in(clean, "python", "-c", "import lib; print(lib.f())")
    if settled:
        assert said.stdout == "the candidate\n"
    else:
        assert "No module named 'lib'" in said.stderr  # loud: never the base in place of the candidate


def test_a_real_editable_install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip install -e, with the build backend of the tests' own environment."""
    pytest.importorskip("hatchling")
    pytest.importorskip("editables")
    site = str(Path(pytest.importorskip("hatchling").__file__).parent.parent)
    project = (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\nname = "tiny"\n'
        'version = "1"\n[tool.hatch.build.targets.wheel]\npackages = ["src/tiny"]\n'
    )
    write(world.repository, {"pyproject.toml": project, "src/tiny/__init__.py": "WHO = 'base'\n"})
    commit_all(world.repository)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    world = make_world(world.root / "tiny", world.repository)
    install = f"PYTHONPATH={site} .venv/bin/python -m pip install -q --no-index --no-deps --no-build-isolation -e ."
    command = CommandLine(shell=f"python3 -m venv .venv && {install}")
    spec = CheckoutSpec(setup=(Setup(command, ("pyproject.toml",), (".venv",), CommandLine(shell=install)),))
    with world.workspaces:
        base = world.base().commit
        checkout = world.open(base, 1, spec)
        (checkout.tree / "src/tiny/__init__.py").write_text("WHO = 'candidate'\n")
        candidate = world.snapshot(checkout, base, 1, spec)
        with world.workspaces.clean_checkout(candidate.commit, base, spec) as clean:
            said = run_in(clean, "python", "-c", "import tiny; print(tiny.WHO)")
    assert said.stdout == "candidate\n", said.stderr


# --- carry


def test_carried_files_come_along_and_stay_out(world: World) -> None:
    write(world.repository, {"data/large.bin": "untracked\n", "data/more/x": "x\n"})
    base = world.base().commit
    spec = CheckoutSpec(carry=("data/large.bin", "data/more"))
    world.workspaces.check_contents(world.base(), spec.carry)
    checkout = world.open(base, 1, spec)
    assert (checkout.tree / "data/large.bin").read_text() == "untracked\n"
    write(checkout.tree, {"data/large.bin": "tampered\n", "data/mine": "m\n", "data/more/y": "y"})
    candidate = world.snapshot(checkout, base, 1, spec)
    assert [change.path for change in world.workspaces.changes(base, candidate.commit)] == ["data/mine"]
    assert sorted(candidate.left_out) == ["data/large.bin", "data/more/"]
    assert (world.repository / "data/large.bin").read_text() == "untracked\n"


@pytest.mark.parametrize("path", ["missing", "/etc/passwd", "../x", ".git/config"])
def test_what_cannot_be_carried_is_a_usage_error(world: World, path: str) -> None:
    base = world.base()
    with pytest.raises(UsageError, match="carry"):
        world.workspaces.check_contents(base, (path,))
    with pytest.raises(UsageError, match="carry"):
        world.open(base.commit, 1, CheckoutSpec(carry=(path,)))
    assert list(world.places.glob("*/*")) == []
