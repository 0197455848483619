"""Machines that are not as one hopes: git, environment, disk and terminal. Each ends in a clear error, or goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract.bad_input_world import Ground, committed, fingerprint, git, mounted, repository
from tests.contract.program import PROGRAM
from tests.nightly import rest_at_night

VERBS = (("run", "-t", "x"), ("check",), ("status",), ("init",))
by_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
needs_state = pytest.mark.parametrize("verb", VERBS[:3], ids=lambda verb: verb[0])


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    ground = Ground(tmp_path, repository(tmp_path / "project"))
    ground.pipeline()
    return ground


# --- git -------------------------------------------------------------------------------------------


@by_verb
def test_without_git_it_says_what_to_install(ground: Ground, verb: tuple[str, ...]):
    empty = ground.root / "bin"
    empty.mkdir()
    ground.ask(*verb, PATH=str(empty)).refused("git is not on the PATH", "install git 2.38 or newer")
    assert not ground.state.exists()


@pytest.mark.parametrize("said", ["git version 2.37.9 (Apple Git-1)", "hello"])
def test_an_old_git_is_refused_with_the_version_that_would_do(ground: Ground, said: str):
    path = fake_git(ground, f'[ "$1" = version ] && echo "{said}" && exit; exec {shutil.which("git")} "$@"')
    ground.ask("run", "-t", "x", PATH=path).refused("git 2.38 or newer is needed", repr(said))


def test_an_ancient_git_that_knows_no_options_of_ours_is_named_as_the_cause(ground: Ground):
    """Before 2.31 there was no --path-format: rev-parse echoes it as it does with whatever it does not know."""
    path = fake_git(
        ground,
        '[ "$1" = version ] && echo "git version 2.20.1" && exit\n'
        'for word; do shift; [ "$word" = --path-format=absolute ] && echo "$word" || set -- "$@" "$word"; done\n'
        f'exec {shutil.which("git")} "$@"',
    )
    for verb in VERBS:
        ground.ask(*verb, PATH=path).refused("git 2.38 or newer is needed", "git version 2.20.1")
    assert "2.38" in ground.ask("doctor", PATH=path).text


def test_a_git_that_crashes_is_reported_in_its_own_words(ground: Ground):
    path = fake_git(
        ground, f'[ "$1" = version ] && exec {shutil.which("git")} version; echo "fatal: boom" >&2; exit 128'
    )
    ground.ask("run", "-t", "x", PATH=path).refused("boom")


def test_git_variables_of_a_hook_do_not_lead_astray(ground: Ground):
    other = repository(ground.root / "other")
    hooked = {
        "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(other / ".git/index"),
        "GIT_OBJECT_DIRECTORY": str(other / ".git/objects"), "GIT_PREFIX": "x/", "GIT_QUARANTINE_PATH": "/nowhere",
        "GIT_CONFIG_PARAMETERS": "'core.hookspath'='/nowhere'", "GIT_EXEC_PATH": "/nowhere", "GIT_TRACE": "1",
        "GIT_CEILING_DIRECTORIES": str(ground.root), "GIT_DISCOVERY_ACROSS_FILESYSTEM": "x", "GIT_NAMESPACE": "n",
        "GIT_LITERAL_PATHSPECS": "1", "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nowhere", "GIT_DEFAULT_HASH": "sha256",
    }  # fmt: skip
    before = fingerprint(other)
    ground.pipeline(agent='echo done > made.txt; env | grep "^GIT_DIR" > made.txt || true; echo x >> made.txt')
    branch = ground.delivered(ground.run(**hooked))
    assert ground.content(branch, "made.txt") == b"x\n"
    assert ground.ask("check", **hooked).code in (0, 1)
    assert fingerprint(other) == before


def test_hooks_monitors_and_filters_of_the_repository_never_run(ground: Ground):
    ran = ground.root / "ran"
    tool = ground.root / "tool"
    tool.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\ncat\n')
    tool.chmod(0o755)
    hooks = ground.root / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change", "pre-push", "update"):
        shutil.copy(tool, hooks / name)
        shutil.copy(tool, ground.repository / ".git/hooks" / name)
    (ground.repository / ".gitattributes").write_text("*.txt filter=evil diff=evil merge=evil\n")
    committed(ground.repository)
    settings = {
        "core.hooksPath": hooks, "core.fsmonitor": tool, "filter.evil.clean": tool, "filter.evil.smudge": tool,
        "filter.evil.required": "true", "diff.evil.command": tool, "diff.evil.textconv": tool, "diff.external": tool,
        "merge.evil.driver": tool, "core.pager": tool, "core.editor": tool, "core.sshCommand": tool,
        "credential.helper": tool, "core.alternateRefsCommand": tool, "uploadpack.packObjectsHook": tool,
        "gpg.program": tool, "core.gitProxy": tool, "sequence.editor": tool, "alias.fetch": f"!{tool}",
    }  # fmt: skip
    for name, value in settings.items():
        git(ground.repository, "config", name, str(value))
    ran.unlink()  # our own commit called them
    ground.pipeline()
    os.utime(ground.repository / "a.txt", (1, 1))  # so that git would read it again, through the filter
    assert ground.delivered(ground.run())
    assert ground.delivered(ground.run("--base", "worktree"))
    (ground.repository / "a.txt").write_text("other\n")
    ground.run("--base", "worktree").refused("a.txt has the filter 'evil'", "filters never run")
    ground.ask("check").refused("a.txt has the filter 'evil'", "commit it first")
    assert ground.ask("diff", "base", "code").code == 0
    assert not ran.exists(), ran.read_text()


# --- environment -----------------------------------------------------------------------------------


@needs_state
def test_without_a_home_it_says_what_to_set(ground: Ground, verb: tuple[str, ...]):
    nothing = dict.fromkeys(("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"))
    ground.ask(*verb, **nothing).refused("HOME", "XDG_", "absolute path")


def test_relative_xdg_folders_are_ignored_and_a_relative_state_is_refused(ground: Ground):
    assert ground.delivered(ground.run(XDG_STATE_HOME="state", XDG_CONFIG_HOME=".", HOME=str(ground.root / "home")))
    assert (ground.root / "home/.local/state/interlock").is_dir()
    ground.ask("list", INTERLOCK_STATE_HOME="state").refused("INTERLOCK_STATE_HOME", "absolute path")


def test_a_bare_environment_is_enough(ground: Ground):
    nothing = dict.fromkeys(os.environ) | {"PATH": os.environ["PATH"], "HOME": str(ground.root)}
    assert ground.delivered(ground.run(**nothing))


ODD = {
    "none of it there": {"TMPDIR": "/no/such/folder", "LC_ALL": "C", "TZ": "No/Where", "TERM": "\x1b", "COLUMNS": "x"},
    "ascii and narrow": {"PYTHONIOENCODING": "ascii", "COLUMNS": "20", "LINES": "3"},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_variables_change_nothing(ground: Ground, name: str):
    (ground.repository / "größe.txt").write_text("x")
    ground.pipeline("echo done > made.txt; echo ü > häßlich.txt; printf 'dü' > dü; echo ü")
    assert ground.delivered(ground.run(**ODD[name]))
    for words in (("show",), ("diff", "base", "code"), ("logs", "code")):
        assert ground.ask(*words, **ODD[name]).code == 0


def test_a_bad_setting_is_named_with_what_would_do(ground: Ground):
    folder = ground.root / "config/interlock"
    folder.mkdir(parents=True)
    for text, words in (("max_parallel: 0\nslots: x\nsandbxo: none\n", "did you mean sandbox"), ("{", "not valid YAML"),
                        ("- 1", "names with values"), ("\x00", "settings.yaml")):  # fmt: skip
        (folder / "settings.yaml").write_text(text)
        ground.ask("status", XDG_CONFIG_HOME=str(ground.root / "config")).refused(words)
    (folder / "settings.yaml").write_bytes(b"\xff\xfe")
    ground.ask("status", XDG_CONFIG_HOME=str(ground.root / "config")).refused("cannot be read")


# --- disk ------------------------------------------------------------------------------------------


@needs_state
def test_a_read_only_state_folder_is_named(ground: Ground, verb: tuple[str, ...]):
    with mounted(ground.state, "1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(ground.state)], check=True)
        ground.ask(*verb).refused(str(ground.state), "writable", code=5)


def test_a_state_folder_that_is_a_file_is_named(ground: Ground):
    ground.state.write_text("")
    ground.ask("run", "-t", "x").refused(str(ground.state), code=5)
    ground.ask("status").refused(str(ground.state), code=5)


@pytest.mark.parametrize("size", rest_at_night(["300k", "64k", "700k"]))
def test_a_full_disk_is_said_so(ground: Ground, size: str):
    """Wherever it strikes: making the journal, importing the base, or the attempt."""
    (ground.repository / "big").write_bytes(os.urandom(400_000))
    committed(ground.repository)
    with mounted(ground.state, size):
        said = ground.run()
        assert said.code in (3, 5), said.text
        assert "full" in said.text or "No space left" in said.text, said.text


def test_a_disk_that_fills_up_during_the_run_pauses_it_and_it_can_be_resumed(ground: Ground):
    with mounted(ground.state, "8m"):
        filler = ground.state / "filler"
        ground.pipeline(
            f"[ -e {ground.root}/freed ] || head -c 20m /dev/zero > {filler} || true; {'echo done > made.txt'}"
        )
        said = ground.run()
        assert said.code in (3, 5), said.text
        assert "full" in said.text or "No space left" in said.text, said.text
        filler.unlink()
        (ground.root / "freed").touch()
        assert ground.delivered(ground.ask("resume", "--plain"))


# --- streams ---------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_error(ground: Ground):
    ground.pipeline("seq 100000; echo done > made.txt")
    ground.run()
    for words in ("show", "show --json", "--help", "schema", "logs code", "logs code --raw", "diff base code"):
        assert headless(ground, *words.split()) == (0, b""), words
    assert headless(ground, "run", "-t", "x", "--json")[0] == 0
    assert "accepted" in ground.ask("status").text  # it went on, unheard
    ground.pipeline(gate="echo no; exit 1")
    code, said = headless(ground, "check")
    assert (code, said.endswith(b"1 failed, 1 skipped\n")) == (1, True), said


def headless(ground: Ground, *words: str) -> tuple[int, bytes]:
    """Exit code and stderr of the program where nobody reads its stdout."""
    hears, says = os.pipe()
    os.close(hears)
    done = subprocess.run(
        [*PROGRAM, *words], cwd=ground.repository, env=ground.environment(), stdin=subprocess.DEVNULL, stdout=says,
        stderr=subprocess.PIPE, check=False, timeout=100,
    )  # fmt: skip
    os.close(says)
    return done.returncode, done.stderr


# At night: a closed output, which is one of three closed ones.
@pytest.mark.parametrize("closed", rest_at_night([">/dev/full", "2>/dev/full", "<&- >&- 2>&-", ">&-"], 3))
def test_closed_streams_do_not_end_in_a_trace(ground: Ground, closed: str):
    line = f"exec {sys.executable} -m interlock run -t x --plain {closed}"
    said = subprocess.run(
        ["bash", "-c", line], cwd=ground.repository, env=ground.environment(), capture_output=True, check=False,
        timeout=100,
    )  # fmt: skip
    assert said.returncode == (5 if closed == ">/dev/full" else 0), said
    assert b"Traceback" not in said.stderr, said.stderr
    assert b"defect" not in said.stderr, said.stderr
    assert "accepted" in ground.ask("status").text


def test_no_task_on_a_closed_input_is_said_so(ground: Ground):
    ground.ask("run").refused("task")


# --- below -----------------------------------------------------------------------------------------


def fake_git(ground: Ground, script: str) -> str:
    """A PATH on which `git` is this shell script."""
    folder = ground.root / "bin"
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/bash\n{script}\n")
    (folder / "git").chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])
