"""Setup that fails: on the files of the candidate it is their fault, on the accepted input's the machine's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, make_world, write

from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import CheckoutSpec, InfrastructureError, UnfitSetup


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    write(made.repository, {"deps.lock": "good\n", "src/app.py": "1\n"})
    commit_all(made.repository)
    with made.workspaces:
        yield made


def spec(world: World, control: str = "", *, settle: str = "", number: int = 1) -> CheckoutSpec:
    """Setup that cannot install `bad`, and nothing while the machine is `down`. It says what it was run on."""
    fails = "{ echo \"error: no package $(cat deps.lock)\"; echo 'see the log'; exit 3; }"
    works = f"test ! -e {world.root}/down && grep -q good deps.lock"
    shell = f"cat deps.lock >> {world.root}/runs; mkdir deps; {works} || {fails}"
    setup = Setup(CommandLine(shell=shell), ("deps.lock",), ("deps",), CommandLine(shell=settle) if settle else None)
    return CheckoutSpec(setup=(setup,), control=control, number=number)


def runs(world: World) -> list[str]:
    return (world.root / "runs").read_text().split()


def candidate(world: World, files: dict[str, str | bytes]) -> tuple[str, str]:
    base = world.base().commit
    return base, world.attempted(files, base, 1).commit


def enter(world: World, commit: str, base: str, wanted: CheckoutSpec) -> None:
    with world.workspaces.clean_checkout(commit, base, wanted):
        pass


def test_what_fails_on_the_candidate_alone_is_its_fault(world: World) -> None:
    base, commit = candidate(world, {"deps.lock": "bad\n"})
    with pytest.raises(
        UnfitSetup, match=r"error: no package bad \(it works on the files that were accepted last\)\n"
    ) as told:
        enter(world, commit, base, spec(world, base))
    assert told.value.output == b"error: no package bad\nsee the log\n"
    assert runs(world) == ["bad", "bad", "good"]  # once more, and then what it is compared with
    assert list(world.gates.iterdir()) == []


def test_without_an_accepted_input_it_is_infrastructure(world: World) -> None:
    base, commit = candidate(world, {"deps.lock": "bad\n"})
    with pytest.raises(InfrastructureError, match="no package bad"):
        enter(world, commit, base, spec(world))
    assert runs(world) == ["bad"]


def test_where_the_input_fails_now_too_it_is_infrastructure(world: World) -> None:
    base, commit = candidate(world, {"deps.lock": "good and new\n"})
    enter(world, base, base, spec(world))
    (world.root / "down").touch()
    with pytest.raises(InfrastructureError, match="it fails on the accepted input as well"):
        enter(world, commit, base, spec(world, base))


def test_the_same_key_is_never_the_candidates_fault(world: World) -> None:
    base, commit = candidate(world, {"src/app.py": "2\n"})
    (world.root / "down").touch()
    with pytest.raises(InfrastructureError, match="no package good"):
        enter(world, commit, base, spec(world, base))
    assert runs(world) == ["good"]


def test_what_works_at_the_second_try_is_no_finding(world: World) -> None:
    base, commit = candidate(world, {"deps.lock": "bad\n"})
    shell = f"mkdir deps; test -e {world.root}/tried || {{ touch {world.root}/tried; exit 1; }}"
    enter(
        world,
        commit,
        base,
        CheckoutSpec(setup=(Setup(CommandLine(shell=shell), ("deps.lock",), ("deps",)),), control=base),
    )


def test_one_failing_setup_is_tried_once_for_all_gates_of_a_try(world: World) -> None:
    base, commit = candidate(world, {"deps.lock": "bad\n"})
    other = world.attempted({"deps.lock": "bad\n", "src/app.py": "2\n"}, base, 2).commit
    for judged in (commit, commit, other):
        with pytest.raises(UnfitSetup):
            enter(world, judged, base, spec(world, base))
    assert runs(world) == ["bad", "bad", "good"]
    with pytest.raises(UnfitSetup):
        enter(world, commit, base, spec(world, base, number=2))
    assert runs(world) == ["bad", "bad", "good", "bad", "bad"]  # that the input's works was seen a moment ago


def test_a_next_try_on_the_base_is_a_try(world: World) -> None:
    base = world.base().commit
    (world.root / "down").touch()
    for _ in range(2):
        with pytest.raises(InfrastructureError):
            enter(world, base, base, spec(world))
    (world.root / "down").unlink()
    enter(world, base, base, spec(world, number=2))
    assert runs(world) == ["good", "good"]


def test_settle_that_fails_on_the_candidates_files(world: World) -> None:
    base, commit = candidate(world, {"src/app.py": "2\n"})
    settle = "test $(cat src/app.py) = 1"
    with pytest.raises(UnfitSetup, match=r"settle fails on these files"):
        enter(world, commit, base, spec(world, base, settle=settle))
    with pytest.raises(InfrastructureError, match="as well"):
        enter(world, commit, base, spec(world, base, settle="false"))


def test_work_that_goes_on_with_a_broken_lock_file_has_the_inputs_setup(world: World) -> None:
    base, commit = candidate(world, {"deps.lock": "bad\n"})
    checkout = world.workspaces.open("run1", world.attempt(2), base, spec(world), overlay=commit)
    assert (checkout.tree / "deps.lock").read_text() == "bad\n"
    assert (checkout.tree / "deps").is_dir()


def test_what_takes_too_long_is_not_waited_for_twice(world: World) -> None:
    base, commit = candidate(world, {"deps.lock": "bad\n"})
    shell = f"cat deps.lock >> {world.root}/runs; mkdir deps; if grep -q bad deps.lock; then sleep 60; fi"
    setup = Setup(CommandLine(shell=shell), ("deps.lock",), ("deps",), timeout_s=2)
    with pytest.raises(UnfitSetup, match="timed out"):
        enter(world, commit, base, CheckoutSpec(setup=(setup,), control=base))
    assert runs(world) == ["bad", "good"]
