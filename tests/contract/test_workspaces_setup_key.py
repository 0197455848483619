"""What a setup hangs on, what it made as a digest, and what its commands see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, git, make_world, write

from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import CheckoutSpec, InfrastructureError, Stamp

COPY = Setup(CommandLine(shell="pip install . "), ("pyproject.toml",), ("site",))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "pip").write_text("#!/bin/sh\ncp -r src site\n")
    (programs / "pip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_TOKEN", "hunter2")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "hunter3")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    made = make_world(tmp_path / "world")
    write(made.repository, {"pyproject.toml": "[project]\n"})
    commit_all(made.repository)
    with made.workspaces:
        yield made


def left(world: World, commit: str, setup: Setup, path: str) -> str:
    with world.workspaces.clean_checkout(commit, world.base().commit, CheckoutSpec(setup=(setup,))) as clean:
        return (clean.tree / path).read_text()


@pytest.mark.parametrize(
    "setup", [COPY, Setup(CommandLine(shell="cp -r src site"), (), ("site",))], ids=["copy", "no key"]
)
def test_the_sources_of_one_attempt_never_reach_another(world: World, setup: Setup) -> None:
    base = world.base().commit
    rejected = world.attempted({"src/lib.py": "BAD\n"}, base, 1).commit
    later = world.attempted({"src/lib.py": "GOOD\n"}, base, 2).commit
    assert left(world, rejected, setup, "site/lib.py") == "BAD\n"
    assert left(world, later, setup, "site/lib.py") == "GOOD\n"


def test_a_digest_of_what_was_made(world: World) -> None:
    base = world.base().commit
    changed = world.attempted({"src/lib.py": "2\n"}, base, 1).commit
    locked = world.attempted({"deps.lock": "2\n"}, base, 2).commit
    shell = "mkdir deps; echo $RANDOM > deps/id; chmod 700 deps/id; ln -s /bin/sh deps/sh"
    spec = CheckoutSpec(setup=(Setup(CommandLine(shell=shell), ("deps.lock",), ("deps",)),))

    def installed(commit: str, spec: CheckoutSpec = spec) -> str:
        """What it adds to the digest of the history."""
        history = world.workspaces.checkout_digest(commit, base, CheckoutSpec())
        return world.workspaces.checkout_digest(commit, base, spec).removeprefix(history)

    first = installed(base)
    assert first
    assert installed(changed) == first
    assert installed(locked) != first
    settled = replace(spec.setup[0], settle=CommandLine(shell="true"))
    assert installed(base, CheckoutSpec(setup=(settled,))) != first


def test_a_digest_of_what_git_shows(world: World) -> None:
    base = world.base().commit
    one = world.attempted({"a.txt": "1\n"}, base, 1).commit
    again = world.workspaces.adopt(one, base, Stamp("another message", 1_800_000_000), "refs/interlock/run1/x").commit
    other = world.attempted({"a.txt": "2\n"}, base, 2).commit
    later = world.attempted({"a.txt": "1\n"}, other, 3).commit
    git(world.repository, "commit", "-q", "--allow-empty", "-m", "a person's")
    persons = world.base().commit
    digests = [
        world.workspaces.checkout_digest(commit, base, CheckoutSpec())
        for commit in (base, one, again, other, later, persons)
    ]
    assert one != again
    assert digests[1] == digests[2]  # message and date of a candidate are ours
    assert len({*digests}) == 5  # the same files as `one`, but there HEAD~1 is the base, and what a person wrote counts


def test_setup_sees_what_it_is_declared_to_see(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    base = world.base().commit
    setup = Setup(CommandLine(shell="env > seen"), ("pyproject.toml",), ("seen",), CommandLine(shell="env >> seen"))
    seen = left(world, base, setup, "seen")
    assert "hunter" not in seen
    assert seen.count("PIP_INDEX_URL=https://index.example/simple\n") == 2
    assert f"HOME={os.environ['HOME']}\n" in seen
    assert "/setup-" in seen.partition("TMPDIR=")[2].splitlines()[0]
    named = left(world, base, replace(setup, env=("GITHUB_TOKEN",)), "seen")
    assert named.count("GITHUB_TOKEN=hunter2\n") == 2


def test_a_failure_names_what_was_held_back(world: World) -> None:
    setup = Setup(CommandLine(shell="exit 1"))
    with pytest.raises(InfrastructureError, match=r"not passed on.*: UV_PUBLISH_TOKEN; a setup's `env` can name them"):
        world.open(world.base().commit, 1, CheckoutSpec(setup=(setup,)))
    with pytest.raises(InfrastructureError) as told:
        world.open(world.base().commit, 1, CheckoutSpec(setup=(replace(setup, env=("UV_PUBLISH_TOKEN",)),)))
    assert "not passed on" not in str(told.value)


def test_a_credential_that_setup_names_is_masked_in_what_is_told(world: World) -> None:
    setup = Setup(CommandLine(shell="echo error: no access for $GITHUB_TOKEN; exit 1"), env=("GITHUB_TOKEN",))
    with pytest.raises(InfrastructureError, match=r"no access for \*\*\*") as told:
        world.open(world.base().commit, 1, CheckoutSpec(setup=(setup,)))
    assert "hunter2" not in str(told.value)
