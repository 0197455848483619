"""Setup with a key is made with the code of the base: what a candidate wrote does not run in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import World, commit_all, make_world, write

from interlock.core.pipeline import CommandLine, Setup
from interlock.ports import CheckoutSpec, UnfitSetup

LIST = (
    "mkdir deps; find . \\( -name .git -o -name deps \\) -prune -o -type f -print -exec cat {} + > deps/seen;"
    " find . -type l >> deps/seen"
)
FILES = {
    "deps.lock": "1\n",
    "src/old.py": "OLD\n",
    "src/gone.py": "GONE\n",
    "README.md": "old\n",
    "tool": "#!/bin/sh\n",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    write(made.repository, dict(FILES))
    (made.repository / "tool").chmod(0o755)
    commit_all(made.repository)
    with made.workspaces:
        yield made


def spec(*key: str, run: str = LIST, control: str = "") -> CheckoutSpec:
    return CheckoutSpec(setup=(Setup(CommandLine(shell=run), key, ("deps",)),), control=control)


def candidate(world: World, files: dict[str, str | bytes], *, gone: str = "", link: str = "") -> tuple[str, str]:
    """The base, and a commit on it in which also the key file is another one."""
    base = world.base().commit
    checkout = world.open(base)
    write(checkout.tree, {"deps.lock": "2\n", **files})
    if gone:
        (checkout.tree / gone).unlink()
    if link:
        (checkout.tree / link).symlink_to("README.md")
    return base, world.snapshot(checkout, base).commit


def seen(world: World, base: str, commit: str, wanted: CheckoutSpec) -> str:
    """What setup said that it saw."""
    with world.workspaces.clean_checkout(commit, base, wanted) as clean:
        return (clean.tree / "deps/seen").read_text()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/old.py", "NEW\n"),
        ("src/new.py", "NEW\n"),
        ("src/native.c", "NEW\n"),
        ("scripts/build.sh", "NEW\n"),
        ("scripts/build", "#!/bin/sh NEW\n"),
        ("tool", "NEW\n"),
        ("vendor/x.whl", "NEW\n"),
        ("sitecustomize.py", "NEW\n"),
        (".npmrc", "NEW\n"),
        ("src/evil.pth", "NEW\n"),
    ],
)
def test_no_code_of_the_candidate_is_seen(world: World, path: str, text: str) -> None:
    base, commit = candidate(world, {path: text})
    told = seen(world, base, commit, spec("deps.lock"))
    assert "NEW" not in told
    assert "OLD" in told
    assert "2\n" in told  # the key file


@pytest.mark.parametrize("path", ["README.md", "NEW.md", "LICENSE", "data.json", "pyproject.toml", "package.json"])
def test_what_cannot_run_is_the_candidates(world: World, path: str) -> None:
    base, commit = candidate(world, {path: "NEW\n"})
    assert "NEW\n" in seen(world, base, commit, spec("deps.lock"))


def test_code_that_the_key_names_is_the_candidates(world: World) -> None:
    base, commit = candidate(world, {"src/old.py": "NEW\n"})
    assert "NEW" in seen(world, base, commit, spec("deps.lock", "src/*.py"))


def test_without_a_key_all_is_the_candidates(world: World) -> None:
    base, commit = candidate(world, {"src/old.py": "NEW\n"})
    assert "NEW" in seen(world, base, commit, spec())


def test_what_a_later_recipe_sees_after_one_without_a_key(world: World) -> None:
    """Then every file is in its key too."""
    base, commit = candidate(world, {"src/old.py": "NEW\n"})
    first = Setup(CommandLine(shell="mkdir first"), (), ("first",))
    assert "NEW" in seen(world, base, commit, CheckoutSpec(setup=(first, *spec("deps.lock").setup)))


def test_deleted_code_is_there_and_a_link_is_not(world: World) -> None:
    base, commit = candidate(world, {}, gone="src/gone.py", link="src/link.txt")
    told = seen(world, base, commit, spec("deps.lock"))
    assert "GONE" in told
    assert "link.txt" not in told


def test_a_file_in_the_place_of_a_folder_and_the_other_way_round(world: World) -> None:
    base, commit = candidate(world, {"tool2/README.md": "NEW\n"}, gone="tool")
    assert "NEW" in seen(world, base, commit, spec("deps.lock"))
    checkout = world.open(base, 2)
    (checkout.tree / "tool").unlink()
    write(checkout.tree, {"deps.lock": "3\n", "tool/README.md": "NEW\n"})
    for path in (checkout.tree / "src").rglob("*"):
        if path.is_file():
            path.unlink()
    other = world.snapshot(checkout, base, 2).commit
    told = seen(world, base, other, spec("deps.lock"))
    assert "NEW" in told
    assert "OLD" in told


def test_the_checkout_itself_is_the_candidates(world: World) -> None:
    base, commit = candidate(world, {"src/new.py": "NEW\n", "src/old.py": "NEW\n"}, gone="src/gone.py")
    with world.workspaces.clean_checkout(commit, base, spec("deps.lock")) as clean:
        assert (clean.tree / "src/new.py").read_text() == "NEW\n"
        assert (clean.tree / "src/old.py").read_text() == "NEW\n"
        assert not (clean.tree / "src/gone.py").exists()


def test_an_attempt_on_accepted_code_has_the_environment_of_the_base(world: World) -> None:
    base, accepted = candidate(world, {"src/old.py": "NEW\n"})
    wanted = CheckoutSpec(setup=spec("deps.lock").setup, base=base)
    checkout = world.open(accepted, 2, wanted)
    assert "NEW" not in (checkout.tree / "deps/seen").read_text()
    assert (checkout.tree / "src/old.py").read_text() == "NEW\n"


def test_a_new_module_is_there_and_empty_where_a_manifest_names_it(world: World) -> None:
    base, commit = candidate(world, {"src/new.py": "NEW\n"})
    assert "src/new.py" in seen(
        world, base, commit, spec("deps.lock", run=f"test -e src/new.py && ! test -s src/new.py; {LIST}")
    )


def test_a_new_module_is_absent_where_it_works_only_so(world: World) -> None:
    base, commit = candidate(world, {"src/new.py": "NEW\n"})
    told = seen(world, base, commit, spec("deps.lock", run=f"test ! -e src/new.py || exit 1; {LIST}"))
    assert "src/new.py" not in told


def test_setup_that_needs_code_of_the_candidate_says_why_it_has_none(world: World) -> None:
    base, commit = candidate(world, {"src/new.py": "NEW\n"})
    run = f"grep -q 1 deps.lock || grep NEW src/new.py || exit 1; {LIST}"
    needs = spec("deps.lock", run=run, control=base)
    with pytest.raises(UnfitSetup, match="runs with the code of the base; new modules are empty"):
        seen(world, base, commit, needs)


def test_a_manifest_is_in_the_key_whether_it_is_named_or_not(world: World) -> None:
    base, first = candidate(world, {"pyproject.toml": "ONE\n"})
    assert "ONE" in seen(world, base, first, spec("deps.lock"))
    checkout = world.open(base, 2)
    write(checkout.tree, {"deps.lock": "2\n", "pyproject.toml": "TWO\n"})
    assert "TWO" in seen(world, base, world.snapshot(checkout, base, 2).commit, spec("deps.lock"))


def test_the_input_is_made_again_from_what_it_was_made_from(world: World) -> None:
    """To tell whose fault a failure is: an accepted input with a new module, whose setup works only without it."""
    base, accepted = candidate(world, {"src/new.py": "NEW\n"})
    checkout = world.open(accepted, 2)
    write(checkout.tree, {"deps.lock": "bad\n"})
    commit = world.snapshot(checkout, accepted, 2).commit
    first = Setup(CommandLine(shell="test ! -e src/new.py; ! grep bad deps.lock"), ("deps.lock",))
    with pytest.raises(UnfitSetup):
        seen(world, base, commit, CheckoutSpec(setup=(first, *spec("deps.lock").setup), control=accepted))
