"""A program in a room runs as outside of one, but for what it sees."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contract.sandbox.rooms import checkout_in, run_in
from tests.rooms_here import needs_fences, needs_rooms

from interlock.ports import InfrastructureError, Sandbox
from interlock.process import How
from interlock.sandbox import LEVELS, Network, alone, probe, require, room
from interlock.sandbox import program as programs

pytestmark = needs_rooms

ENDS = {
    "exit 0": (How.EXITED, 0),
    "exit 3": (How.EXITED, 3),
    "exit 129": (How.EXITED, 129),  # not a signal: git says so of wrong options
    "kill -9 $$": (How.EXITED, -9),
    "kill -SEGV $$": (How.EXITED, -11),
    "sleep 600 & exit 4": (How.EXITED, 4),
    "kill -9 1; kill -TERM 1; exit 5": (How.EXITED, 5),  # the first process of the room
}


def test_this_machine_makes_rooms() -> None:
    """The tests here need one; where there is none, the reason is what fails."""
    found = probe()
    assert (found.level, found.missing) == ("full", "")
    assert found.level in LEVELS
    assert found.took_ms > 0
    require("full", os.environ)


@pytest.mark.parametrize("script", ENDS)
def test_a_program_ends_as_outside(script: str, tmp_path: Path) -> None:
    done = run_in(checkout_in(tmp_path), script).finished
    assert (done.how, done.code) == ENDS[script]


def test_it_sees_its_checkout_at_the_same_place_always(tmp_path: Path) -> None:
    made = checkout_in(tmp_path / "one")
    aside = tmp_path / "one/agent"
    aside.mkdir()
    script = "pwd; echo $HOME $TMPDIR; id -u; hostname; echo t > t; echo h > ~/h; echo m > /tmp/m; echo a > /w/agent/a"
    assert run_in(made, script, writes=(aside,)).said.split() == ["/w/tree", "/w/home", "/tmp", "1000", "room"]
    assert [(made.root / name).read_text() for name in ("tree/t", "home/h", "tmp/m", "agent/a")] == [
        "t\n", "h\n", "m\n", "a\n"
    ]  # fmt: skip
    assert made.lies(made.seen(made.tmp / "x")) == made.tmp / "x"
    assert made.lies(made.seen(aside / "x")) == aside / "x"


def test_what_it_may_only_read_it_cannot_write(tmp_path: Path) -> None:
    made = checkout_in(tmp_path / "one")
    beside = tmp_path / "one/beside"
    beside.mkdir()
    (beside / "skill.md").write_text("read me")
    assert run_in(made, "cat /w/beside/skill.md; echo x > /w/beside/y", reads=(beside,)).said.startswith("read me")
    assert not (beside / "y").exists()


def test_a_program_that_is_not_there_is_told_apart_from_one_that_fails(tmp_path: Path) -> None:
    done = run_in(checkout_in(tmp_path), ("no-such-program",))
    assert done.finished.how is How.NOT_FOUND
    assert "no-such-program: not found: not on the PATH" in done.said
    (tmp_path / "tree/text").write_text("no program")
    assert run_in(checkout_in(tmp_path), ("./text",)).finished.how is How.NOT_FOUND
    done = run_in(checkout_in(tmp_path), "echo 'bwrap: execvp x: No such file or directory' >&2; exit 1")
    assert (done.finished.how, done.finished.code) == (How.EXITED, 1)


def test_it_has_time_to_end_when_it_is_told_to(tmp_path: Path) -> None:
    made = checkout_in(tmp_path)
    done = run_in(made, "trap 'echo told > told; exit 0' TERM; sleep 600 & wait", timeout_s=1)
    assert done.finished.how is How.TIMED_OUT
    assert (made.tree / "told").read_text() == "told\n"


def test_programs_of_the_path_outside_of_the_system_work_and_their_neighbours_are_not_seen(tmp_path: Path) -> None:
    home = tmp_path / "ann"
    package = home / ".local/share/coder/versions/1"
    (package / "lib").mkdir(parents=True)
    (package / "lib/word").write_text("it works")
    (package / "coder").write_text('#!/bin/sh\ncat "$(dirname "$(readlink -f "$0")")/lib/word"\n')
    (package / "coder").chmod(0o755)
    (home / ".local/share/coder/current").symlink_to("versions/1")
    (home / ".local/bin").mkdir()
    (home / ".local/bin/coder").symlink_to("../share/coder/current/coder")
    (home / ".local/share/keyrings").mkdir()
    (home / ".local/share/keyrings/login").write_text("secret")
    (home / ".netrc").write_text("secret")
    made, path = checkout_in(tmp_path / "one"), f"{home}/.local/bin:/usr/bin:/bin"
    assert run_in(made, ("coder",), env={"PATH": path}).said == "it works"
    script = f"ls {home}/.netrc {home}/.local/share/keyrings/login; echo x > {home}/.local/bin/x"
    assert "secret" not in run_in(made, script, env={"PATH": path}).said
    assert run_in(made, f"cat {home}/.netrc", env={"PATH": path}).finished.code == 1
    assert not (home / ".local/bin/x").exists()


def test_programs_of_rustup_find_its_folders_and_not_what_lies_beside_them(tmp_path: Path) -> None:
    home = tmp_path / "ann"
    for name in (".cargo/bin", ".rustup/toolchains", ".rustup/update-hashes", ".rustup/downloads"):
        (home / name).mkdir(parents=True)
    (home / ".cargo/credentials.toml").write_text("secret")
    made, path = checkout_in(tmp_path / "one"), f"{home}/.cargo/bin:/usr/bin:/bin"
    seen = run_in(made, f"ls -A {home}/.rustup {home}/.cargo", env={"PATH": path}).said.split()
    assert {"toolchains", "update-hashes"} <= set(seen)
    assert not {"downloads", "credentials.toml"} & set(seen)


@pytest.mark.parametrize("name", ["maven/m2.conf", "maven/logging", "chromium.d"])
def test_what_a_program_of_the_system_needs_of_etc_is_there(name: str, tmp_path: Path) -> None:
    if not Path("/etc", name).exists():
        pytest.skip(f"/etc/{name} is not on this machine: its package is not installed")
    assert run_in(checkout_in(tmp_path), f"test -e /etc/{name} && ! test -e /etc/maven/settings.xml").finished.code == 0


def test_files_of_etc_are_copies_of_what_is_there_when_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, made = tmp_path / "etc", checkout_in(tmp_path / "one")
    own.mkdir()
    monkeypatch.setattr(room, "_ETC", own)
    for text in ("first", "second"):
        for name in ("passwd", "group", "hosts"):
            (own / name).write_text(text)
        assert run_in(made, "cat /etc/passwd; ls /proc/$$/fd").said.split() == [f"{text}0", "1", "2"]
    script = "for f in /etc/passwd /etc/hosts; do chmod u+w $f; echo x >> $f; mv $f /etc/x; rm -f $f; done; cat $f"
    assert run_in(made, f"({script}) 2> /dev/null").said == "second"
    assert (own / "passwd").read_text() == "second"


@pytest.mark.parametrize("most", [0, 10**6], ids=["bound", "copied"])
def test_etc_is_the_same_in_whatever_way_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(room, "_COPIED_MAX", most)
    names = [name for name in ("ld.so.cache", "nsswitch.conf", "os-release", "services") if Path("/etc", name).exists()]
    said = run_in(checkout_in(tmp_path), f"cd /etc && cat {' '.join(names)} | cksum; stat -c %A passwd").said
    there = b"".join(Path("/etc", name).read_bytes() for name in names)
    sums = subprocess.run(["cksum"], input=there, capture_output=True, check=True).stdout.decode()
    assert said.split()[:2] == sums.split()
    assert said.split()[2].startswith("-r")


def test_a_link_to_a_file_among_others_of_the_user_opens_that_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "ben"
    monkeypatch.setenv("HOME", str(home))
    for name in ("bin", "Documents", ".aws"):
        (home / name).mkdir(parents=True)
    for name in ("Documents/tool", ".aws/tool", "tool"):
        (home / name).write_text("#!/bin/sh\necho it works\n")
        (home / name).chmod(0o755)
        (home / "bin" / name.replace("/", "-")).symlink_to(f"../{name}")
    for name in ("Documents/letter", ".aws/credentials", "letter"):
        (home / name).write_text("secret")
    made, path = checkout_in(tmp_path / "one"), {"PATH": f"{home}/bin:/usr/bin:/bin"}
    for program in ("Documents-tool", ".aws-tool", "tool"):
        assert run_in(made, (program,), env=path).said == "it works"
    for name in ("Documents/letter", ".aws/credentials", "letter"):
        assert run_in(made, f"cat {home}/{name}", env=path).finished.code == 1


def _script(path: Path, text: str = "echo it works") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _secrets_in(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
    return [folder / name for name in names]


def test_a_link_to_a_program_in_a_folder_of_something_else_opens_that_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "eve"
    monkeypatch.setenv("HOME", str(home))
    (home / ".local/bin").mkdir(parents=True)
    for name in (".config/gh/x", "src/tool/y", "src/tool/bin/z", ".local/share/work/w"):
        _script(home / name)
        (home / ".local/bin" / Path(name).name).symlink_to(home / name)
    secrets = [
        *_secrets_in(home / ".config/gh", "hosts.yml"),
        *_secrets_in(home / "src/tool", ".env", ".git/config", "bin/key"),
        *_secrets_in(home / ".local/share/work", ".git/config"),
    ]
    made, path = checkout_in(tmp_path / "one"), f"{home}/.local/bin:/usr/bin:/bin"
    for name in "xyzw":
        assert run_in(made, (name,), env={"PATH": path}).said == "it works"
    for secret in secrets:
        assert run_in(made, f"cat {secret}", env={"PATH": path}).finished.code == 1
    beside = f"{home}/src/tool/y is in the sandbox without the files beside it: if it needs them, add {home}/src/tool"
    assert alone(("y", "--now"), made.sandbox, path).startswith(f"{beside} to `read`")
    assert alone(("y",), Sandbox("full", (f"{home}/src/tool",)), path) == ""
    assert alone(("sh", "-c", "python3"), made.sandbox, path) == ""


def test_a_folder_of_the_path_opens_no_project(tmp_path: Path) -> None:
    project, clone = tmp_path / "project", tmp_path / "clone"
    _script(project / "bin/x")
    _script(clone / "y")
    (project / "lib/node_modules/a").mkdir(parents=True)
    secrets = [*_secrets_in(project, "key", "lib/key"), *_secrets_in(clone, ".env", ".git/config", "key")]
    made, path = checkout_in(tmp_path / "one"), {"PATH": f"{project}/bin:{clone}:/usr/bin:/bin"}
    assert [run_in(made, (name,), env=path).said for name in "xy"] == ["it works", "it works"]
    for secret in secrets:
        assert run_in(made, f"cat {secret}", env=path).finished.code == 1


INSTALLATIONS = {
    "node": ("bin/tool", "lib/word", ("bin/node", "lib/node_modules/npm/package.json")),
    "packages-of-node": ("node_modules/.bin/tool", "node_modules/tool/word", ("node_modules/tool/package.json",)),
    "venv-in-a-repository": ("bin/tool", "lib/word", ("pyvenv.cfg", ".git/config")),
    "pyenv": ("shims/tool", "libexec/word", ("versions/3.11/bin/python", ".git/config")),
    "mise": ("shims/tool", "installs/word", ("installs/node/20/bin/node",)),
}


@pytest.mark.parametrize(
    ("kind", "linked"),
    [*((kind, False) for kind in INSTALLATIONS), *((kind, True) for kind in list(INSTALLATIONS)[:3])],
)
def test_an_installation_is_seen_as_a_whole(kind: str, linked: bool, tmp_path: Path) -> None:
    program, needed, marks = INSTALLATIONS[kind]
    whole = tmp_path / "installed"
    _script(whole / program, f"cat {whole}/{needed}")
    for name in (needed, *marks):
        (whole / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).write_text("it works")
    folder = (whole / program).parent
    if linked:
        folder = tmp_path / "links"
        folder.mkdir()
        (folder / "tool").symlink_to(whole / program)
    elif kind == "packages-of-node":
        (folder / "other").symlink_to("../tool/word")
    made, path = checkout_in(tmp_path / "one"), {"PATH": f"{folder}:/usr/bin:/bin"}
    assert run_in(made, ("tool",), env=path).said == "it works"
    assert run_in(made, f"cat {whole}/.git/config", env=path).finished.code == 1


def test_links_of_the_candidate_open_nothing(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key").write_text("secret")
    made = checkout_in(tmp_path / "one")
    (made.tree / "bin").mkdir()
    (made.tree / "bin/python3").symlink_to(tmp_path / "secrets/key")
    for path in (f"{made.tree}/bin:/usr/bin:/bin", "/w/tree/bin:/usr/bin:/bin"):
        assert run_in(made, f"cat {tmp_path}/secrets/key", env={"PATH": path}).finished.code == 1


def test_more_can_be_read_where_the_pipeline_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/words").write_text("of the machine")
    script = f"cat {tmp_path}/data/words; echo x > {tmp_path}/data/x"
    assert run_in(checkout_in(tmp_path / "a"), script).said != "of the machine"
    made = checkout_in(tmp_path / "b", Sandbox("full", (str(tmp_path / "data"),)))
    assert run_in(made, script).said.startswith("of the machine")
    assert not (tmp_path / "data/x").exists()
    with pytest.raises(InfrastructureError, match="sandbox: read: there is no /nowhere/at/all"):
        run_in(checkout_in(tmp_path / "c", Sandbox("full", ("/nowhere/at/all",))), "true")


def test_a_sandbox_of_its_own_where_the_pipeline_allows_one(tmp_path: Path) -> None:
    if shutil.which("unshare", path="/usr/bin:/bin") is None:
        pytest.skip("util-linux is not installed: nothing to make a namespace with")
    assert run_in(checkout_in(tmp_path / "a"), "unshare -Ur true").finished.code != 0
    assert run_in(checkout_in(tmp_path / "b", Sandbox("full", nested=True)), "unshare -Ur true").finished.code == 0


def test_an_open_network_is_that_of_the_machine(tmp_path: Path) -> None:
    script = "readlink /proc/self/ns/net"
    ours = os.readlink("/proc/self/ns/net")  # noqa: PTH115 - not a path
    assert run_in(checkout_in(tmp_path), script).said != ours
    assert run_in(checkout_in(tmp_path), script, network=Network.OPEN).said == ours


def test_a_room_that_cannot_be_made_is_no_failure_of_the_program(tmp_path: Path) -> None:
    made = checkout_in(tmp_path)
    made.home.rmdir()
    with pytest.raises(InfrastructureError, match="/bin/sh: no sandbox could be made for it: bwrap: Can't find"):
        run_in(made, "true")


def test_bubblewrap_that_is_too_old_or_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    programs._found.cache_clear()
    try:
        assert programs.find_bwrap({"PATH": str(tmp_path)}).why.startswith(
            "bubblewrap (bwrap) is not installed: install"
        )
        (tmp_path / "bwrap").write_text("#!/bin/sh\necho bubblewrap 0.8.0\n")
        (tmp_path / "bwrap").chmod(0o755)
        found = programs.find_bwrap({"PATH": f"{tmp_path}:/nowhere"})
        assert (found.path, found.why.split(": ")[1]) == ("", "bubblewrap 0.8.0 is too old")
    finally:
        programs._found.cache_clear()


ON_A_TERMINAL = """
import os, sys, tempfile
from pathlib import Path
from tests.contract.sandbox.rooms import checkout_in
from interlock.process import Supervised, checkout_environment, run_in_terminal
from interlock.sandbox import Room, confine
made = checkout_in(Path(sys.argv[1]))
work = Supervised(("/bin/ls", "/proc/self/fd"), made.tree, checkout_environment(os.environ, made), made.root / "log", 0)
sys.exit(run_in_terminal(confine(work, Room(made, terminal=True)), print))
"""


def test_on_a_terminal_nothing_is_inherited_either(tmp_path: Path) -> None:
    with (tmp_path / "left-open").open("w") as file:
        number = fcntl.fcntl(file, fcntl.F_DUPFD, 64)
        words = (sys.executable, "-c", ON_A_TERMINAL, str(tmp_path))
        done = subprocess.run(words, pass_fds=(number,), capture_output=True, text=True, check=True)
        os.close(number)
    assert done.stdout.split() == ["0", "1", "2", "3"]


FORGE = """
import contextlib, ctypes, os, struct
call = ctypes.CDLL(None).syscall
with contextlib.suppress(OSError):
    os.write(call(438, call(434, 1, 0), 6, 0), struct.pack("Q", 1))  # a copy of a descriptor of another process
print(call(101, 16, 1, 0, 0), call(311, 1, 0, 0, 0, 0, 0))  # to trace it, to write to its memory
for path in ("/proc/1/mem", "/proc/1/task/1/mem"):
    with contextlib.suppress(OSError):
        open(path, "r+b"); print(path)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls have these numbers on x86-64 only")
def test_no_program_says_how_another_one_ended(tmp_path: Path) -> None:
    """bubblewrap is told by its first process in the room, which any program there would reach."""
    made = checkout_in(tmp_path)
    (made.tree / "forge.py").write_text(FORGE)
    done = run_in(made, "python3 forge.py; sleep 1; exit 3")
    assert (done.finished.code, done.said) == (3, "-1 -1")


REACHES = """
import contextlib, ctypes, os, sys
call, judge, kept = ctypes.CDLL(None).syscall, os.getppid(), ctypes.create_string_buffer(b"x", 8)
pair = (ctypes.c_size_t * 2)(ctypes.addressof(kept), 1)
for how in (0x4206, 16):
    if call(101, how, judge, 0, 0) == 0:
        if how == 16: os.waitpid(judge, 0x40000000)
        print("traced", how)
        if how == 16: call(101, 17, judge, 0, 0)
        else: break
line = next(line for line in open(f"/proc/{judge}/maps") if "rw-p" in line and "[stack]" in line)
there = (ctypes.c_size_t * 2)(int(line.split("-")[0], 16), 1)
if call(311, judge, pair, ctypes.c_long(1), there, ctypes.c_long(1), ctypes.c_long(0)) == 1: print("written")
with contextlib.suppress(OSError):
    open(f"/proc/{judge}/mem", "r+b"); print("opened")
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls have these numbers on x86-64 only")
@pytest.mark.parametrize("level", ["full", pytest.param("fs", marks=needs_fences)])
def test_in_a_gate_no_program_reaches_into_its_judge(level: str, tmp_path: Path) -> None:
    said = {}
    for number, (nested, judges) in enumerate(((False, True), (False, False), (True, True))):
        made = checkout_in(tmp_path / str(number), Sandbox(level, nested=nested))
        (made.tree / "reach.py").write_text(REACHES)
        done = run_in(made, "python3 reach.py; exit 3", judges=judges)
        assert done.finished.code == 3, done
        said[nested, judges] = done.said.split()
    assert said[False, True] == []
    if Path("/proc/sys/kernel/yama/ptrace_scope").exists():
        return  # then the kernel may refuse it everywhere
    assert said[False, False][:2] == said[True, True][:2] == ["traced", "16902"]
    assert "written" in said[False, False]
    assert "written" in said[True, True]
    assert level == "fs" or said[False, False][-1] == said[True, True][-1] == "opened"


def test_what_a_gate_writes_through_proc_arrives(tmp_path: Path) -> None:
    """Only files of /proc itself cannot be written."""
    done = run_in(
        checkout_in(tmp_path), "echo a > /dev/stdout; echo b > /proc/self/fd/1; cat < /proc/self/comm", judges=True
    )
    assert done.said.split() == ["a", "b", "sh"]
