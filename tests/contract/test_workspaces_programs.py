"""No program that configuration names is started in the user's repository, but those that sign and that push."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.workspaces_world import STAMP, World, commit_all, git, make_world, write

from interlock.ports import DeliveryRefused, InterlockError
from interlock.workspaces import GitWorkspaces
from interlock.workspaces import git as ours
from interlock.workspaces.git import filters_off

# What a program is set by, as git's documentation of its configuration has them. The value is the program, with its key
# for an argument, in the place of TOOL.
PROGRAMS = {
    "alias.add": "!TOOL", "alias.fetch": "!TOOL", "core.alternateRefsCommand": "TOOL", "core.askPass": "TOOL",
    "core.editor": "TOOL", "core.fsmonitor": "TOOL", "core.gitProxy": "TOOL", "core.pager": "TOOL",
    "core.sshCommand": "TOOL", "credential.helper": "!TOOL", "diff.evil.command": "TOOL", "diff.evil.textconv": "TOOL",
    "diff.external": "TOOL", "filter.evil.clean": "TOOL", "filter.evil.process": "TOOL", "filter.evil.smudge": "TOOL",
    "gpg.program": "TOOL", "gpg.ssh.defaultKeyCommand": "TOOL", "gpg.ssh.program": "TOOL",
    "hook.evil.command": "TOOL", "hook.e.vil.command": "TOOL",
    "interactive.diffFilter": "TOOL", "merge.evil.driver": "TOOL", "pager.log": "TOOL",
    "remote.origin.receivepack": "TOOL", "remote.origin.uploadpack": "TOOL", "remote.origin.vcs": "evil",
    "sequence.editor": "TOOL", "trailer.evil.command": "TOOL", "uploadpack.packObjectsHook": "TOOL",
    "url.ext::TOOL .insteadOf": "file://",
}  # fmt: skip
# What else has to be set for these to be asked for.
REST = {
    "commit.gpgSign": "true", "diff.ignoreSubmodules": "none", "filter.evil.required": "true",
    "hook.evil.event": "reference-transaction", "hook.e.vil.event": "post-index-change",
    "log.showSignature": "true", "merge.default": "evil",
    "protocol.allow": "always", "protocol.ext.allow": "always", "push.gpgSign": "true",
    "status.submoduleSummary": "true", "submodule.recurse": "true",
}  # fmt: skip
HOOKS = ("post-checkout", "post-index-change", "pre-auto-gc", "pre-commit", "pre-push", "reference-transaction")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """As it is before anything evil is set."""
    made = make_world(tmp_path)
    write(made.repository, {".gitattributes": "*.txt filter=evil diff=evil merge=evil\n"})
    commit_all(made.repository)
    git(made.repository, "checkout", "-q", "-b", "proposal")
    write(made.repository, {"a.txt": "proposed\n"})
    commit_all(made.repository, "proposed")
    git(made.repository, "checkout", "-q", "main")
    write(made.repository, {"b.txt": "b\n"})
    commit_all(made.repository, "meanwhile")
    with made.workspaces:
        yield made


def set_evil(world: World, where: str) -> dict[str, str]:
    """Everything, in the repository's configuration or in the user's, which includes it. Returns the environment."""
    home = world.root / "home"
    home.mkdir()
    (world.root / "ran").mkdir()
    settings = home / "evil"
    for key, value in PROGRAMS.items():
        tool = tool_of(world, key)
        git(home, "config", "-f", str(settings), key.replace("TOOL", tool), value.replace("TOOL", tool))
    for key, value in REST.items():
        git(home, "config", "-f", str(settings), key, value)
    hooks = home / "hooks"
    hooks.mkdir()
    for name in HOOKS:
        (hooks / name).symlink_to(tool_of(world, name))
        own = world.repository / ".git/hooks" / name
        own.unlink(missing_ok=True)
        own.symlink_to(tool_of(world, name))
    git(home, "config", "-f", str(settings), "core.hooksPath", str(hooks))
    holder = world.repository / ".git/config" if where == "repository" else home / ".gitconfig"
    git(home, "config", "-f", str(holder), "include.path", str(settings))
    kept = {name: value for name, value in os.environ.items() if name != "GIT_CONFIG_GLOBAL"}
    return {**kept, "HOME": str(home)}


def tool_of(world: World, key: str) -> str:
    """A program that leaves a trace by its name, and no more."""
    name = "".join(letter if letter.isalnum() else "-" for letter in key)
    path = world.root / "tools" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(world.root / 'ran' / name))}\nexit 1\n")
    path.chmod(0o755)
    return str(path)


def started(world: World) -> list[str]:
    return sorted(path.name for path in (world.root / "ran").iterdir())


@pytest.mark.parametrize("where", ["repository", "user"])
def test_nothing_starts_a_program_in_the_users_repository(world: World, where: str) -> None:
    environ = set_evil(world, where)
    with GitWorkspaces(world.store, world.places, world.repository, environ) as workspaces:
        base = workspaces.import_base()
        workspaces.check_contents(base)
        os.utime(world.repository / "a.txt", (1, 1))
        write(world.repository, {"c": "new\n"})
        workspaces.import_base(worktree=True)
        workspaces.merge_proposal(base, workspaces.import_base("proposal"))
        workspaces.identity()
        assert workspaces.send(base.commit, base.commit, "done", STAMP, (), sign=False)
        tip = workspaces.send(base.commit, base.commit, "done", STAMP, (), sign=False)
        workspaces.create_branch("done", tip)
        with pytest.raises(DeliveryRefused, match="exists"):
            workspaces.send(base.commit, base.commit, "proposal", STAMP, (), sign=True)
    assert started(world) == []
    assert git(world.repository, "rev-parse", "done").strip() == tip


@pytest.mark.parametrize("trust", [ours.Trust.NONE, ours.Trust.USER])
def test_each_filter_and_configured_hook_is_turned_off_by_its_name(world: World, trust: ours.Trust) -> None:
    """Of hooks, git 2.54 and newer know; the others ignore it."""
    environ = {**set_evil(world, "repository"), "GIT_CONFIG_COUNT": "1"}
    environ |= {"GIT_CONFIG_KEY_0": "filter.of env.clean", "GIT_CONFIG_VALUE_0": "x"}
    git_of_user = ours.Git(environ, world.repository / ".git", trust=trust)
    extra = filters_off(git_of_user)
    told = git_of_user.call("config", "--get-regexp", r"^(filter|hook)\.", extra=extra).out.decode().splitlines()
    assert {"hook.evil.enabled false", "hook.e.vil.enabled false", "filter.evil.required false"} <= set(told)
    assert ("filter.of env.required false" in told) is (trust is ours.Trust.USER)


@pytest.mark.parametrize("is_old", [False, True])
def test_what_a_partial_clone_lacks_is_fetched_by_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, is_old: bool
) -> None:
    """Nor by a git that does not know how to be told so."""
    if is_old:
        monkeypatch.delitem(ours._ALWAYS, "GIT_NO_LAZY_FETCH")
    base = world.base()
    lacking = "1" * 40
    environ = set_evil(world, "repository")
    address = f"ext::{tool_of(world, 'promisor')}"
    for key, value in {"url": address, "promisor": "true", "partialCloneFilter": "blob:none"}.items():
        git(world.repository, "config", f"remote.origin.{key}", value)
    git(world.repository, "config", "--unset", "remote.origin.vcs", check=False)
    git(world.repository, "config", "extensions.partialClone", "origin")
    git(world.repository, "config", "core.repositoryFormatVersion", "1")
    with GitWorkspaces(world.store, world.places, world.repository, environ) as workspaces:
        with pytest.raises(InterlockError):
            workspaces.import_base(lacking)
        assert workspaces.send(base.commit, base.commit, "done", STAMP, (), sign=False)
    assert started(world) == []
