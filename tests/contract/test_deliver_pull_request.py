"""A delivered branch is pushed to a real remote and proposed. `gh` is a stand-in, since the real one needs an account
at GitHub: it keeps its arguments and the body, and answers as the real one does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world

from interlock.settings import Owner, RunLock

_GH = """\
#!/usr/bin/env python3
import json, os, pathlib, sys
kept = pathlib.Path(__file__).parent / "asked"
body = [pathlib.Path(one[12:]).read_text() for one in sys.argv if one.startswith("--body-file=")]
with kept.open("a") as file:
    file.write(json.dumps({"argv": sys.argv[1:], "body": "".join(body)}) + "\\n")
there = pathlib.Path(__file__).parent / "there"
if (pathlib.Path(__file__).parent / "fails").exists():
    sys.exit("GraphQL: must be a collaborator (createPullRequest)")
if sys.argv[2] == "list":
    print(there.read_text() if there.exists() else "", end="")
else:
    print("https://github.example/acme/shop/pull/7")
    there.write_text("https://github.example/acme/shop/pull/7\\n")
"""
_PIPELINE = """\
version: 1
stages:
  code:
    run: date +%N > a.txt
    gates:
      - {id: there, run: test -s a.txt}
deliver:
  pull_request: {base: main, draft: true}
"""
_URL = "https://github.example/acme/shop/pull/7"


class Place:
    """A repository with a remote, and the folder of a stand-in for gh."""

    def __init__(self, root: Path, *, gh: bool = True) -> None:
        self.remote, self.bin = root / "remote.git", root / "bin"
        subprocess.run(["git", "init", "-q", "--bare", str(self.remote)], check=True)
        self.bin.mkdir()
        for name in ("git", "bash", "env", "python3", "date", "test", "cp", "sleep"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        if gh:
            (self.bin / "gh").write_text(_GH)
            (self.bin / "gh").chmod(0o755)
        self.world: World = new_world(root / "w", {"interlock.yaml": _PIPELINE}, PATH=str(self.bin))
        self.world.git("remote", "add", "origin", str(self.remote))

    @property
    def asked(self) -> list[dict[str, object]]:
        kept = self.bin / "asked"
        return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []

    def pushed(self) -> str:
        return subprocess.run(
            ["git", "-C", str(self.remote), "for-each-ref", "--format=%(objectname) %(refname)"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip


def created(place: Place) -> list[dict[str, object]]:
    return [one for one in place.asked if one["argv"][1] == "create"]  # type: ignore[index]


def test_it_is_pushed_opened_and_told_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    said = place.world.ask("run", "-t", "Tell the time.", "--plain").ended(0, f"pull request: {_URL}")
    view = place.world.show()
    assert place.pushed() == f"{view['commit']} refs/heads/interlock/{view['id']}"
    [one] = created(place)
    assert one["argv"][2:] == [  # type: ignore[index]
        f"--head=interlock/{view['id']}", "--title=Tell the time.",
        next(word for word in one["argv"] if str(word).startswith("--body-file=")),  # type: ignore[union-attr]
        "--base=main", "--draft",
    ]  # fmt: skip
    assert "there" in str(one["body"])
    assert "accepted" in str(one["body"])
    assert _URL not in said.err
    place.world.ask("resume", view["id"]).ended(0, _URL)
    assert len(created(place)) == 1
    assert json.loads(place.world.ask("show", "--json").out)["pull_request"] == _URL
    place.world.ask("show").ended(0, f"pull request: {_URL}")


def test_without_gh_the_branch_is_pushed_and_the_command_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path, gh=False)
    said = place.world.ask("run", "-t", "Tell the time.", "--plain").ended(
        0, "`gh` is not installed", "gh pr create --head="
    )
    assert "pull request: http" not in said.text
    assert place.pushed()
    body = said.text.partition("--body-file=")[2].split()[0]
    assert "accepted" in Path(body).read_text()


def test_a_gh_that_fails_is_asked_again_by_resume(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (place.bin / "fails").touch()
    place.world.ask("run", "-t", "Tell the time.", "--plain").ended(0, "must be a collaborator", "gh pr create --head=")
    run = place.world.show()["id"]
    assert "pull_request" not in json.loads(place.world.ask("show", "--json").out)
    place.world.ask("show").ended(0, f"interlock resume {run}` tries again")
    (place.bin / "fails").unlink()
    place.world.ask("resume", run).ended(0, f"pull request: {_URL}")


def test_one_that_is_open_already_is_taken(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (place.bin / "there").write_text("https://github.example/acme/shop/pull/3\n")
    place.world.ask("run", "-t", "Tell the time.", "--plain").ended(
        0, "pull request: https://github.example/acme/shop/pull/3"
    )
    assert created(place) == []


@pytest.mark.parametrize("remote", ["nowhere", "refuses"])
def test_a_push_that_fails_leaves_the_run_accepted(tmp_path: Path, remote: str) -> None:
    place = Place(tmp_path)
    if remote == "nowhere":
        place.world.git("remote", "remove", "origin")
    else:
        hook = place.remote / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\necho not on a Tuesday >&2\nexit 1\n")
        hook.chmod(0o755)
    words = {"nowhere": "there is no remote origin", "refuses": "refused the branch"}
    place.world.ask("run", "-t", "Tell the time.", "--plain").ended(0, "no pull request was opened", words[remote])
    assert place.world.show()["phase"] == "accepted"
    assert created(place) == []


def test_a_hostile_task_is_only_text(tmp_path: Path) -> None:
    place = Place(tmp_path)
    task = "--repo=evil/x `rm -rf` @everyone fixes #1\n</details><img src=x>\n\n# Heading"
    place.world.ask("run", "--task-file=-", "--plain", stdin=task).ended(0, _URL)
    [one] = created(place)
    assert one["argv"][3] == "--title=--repo=evil/x `rm -rf` @everyone fixes #1 </details><img src=x> # Heading"  # type: ignore[index]
    body = str(one["body"])
    assert "@everyone" not in body
    assert "&#64;everyone" not in body  # an entity would be a mention too
    assert "&#35;1" not in body
    assert "<img" not in body
    assert "\n# Heading" not in body


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{remote: 'https://x'}", "is not a valid name of a remote"),
        ("{base: '-x'}", "is not a valid branch name"),
        ("true", "deliver.pull_request"),
    ],
)
def test_a_wrong_one_is_refused_at_its_place(tmp_path: Path, wrong: str, told: str) -> None:
    world = new_world(tmp_path, {"interlock.yaml": _PIPELINE.replace("{base: main, draft: true}", wrong)})
    said = world.ask("validate")
    assert said.code == 2 or said.code == 1
    assert "interlock.yaml:8:" in said.text
    if wrong != "true":
        assert told in said.text


def test_who_proposes_is_alone_and_another_one_is_told_who_it_is(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (place.bin / "fails").touch()
    place.world.ask("run", "-t", "Tell the time.", "--plain").ended(0, "must be a collaborator")
    (place.bin / "fails").unlink()
    run = place.world.show()["id"]
    [lock] = place.world.root.glob(f"state/interlock/*/locks/{run}.effects")
    before = len(created(place))
    with RunLock(lock, Owner(4711, "here", "now")):
        said = place.world.ask("resume", run, INTERLOCK_EFFECTS_WAIT_S="0.2")
    assert "is being delivered or pushed by process 4711 on here" in said.text
    assert len(created(place)) == before
    place.world.ask("resume", run).ended(0, _URL)
