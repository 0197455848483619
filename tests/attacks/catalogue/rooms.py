"""What a program reaches of the machine. The numbers are those of the tests."""

from __future__ import annotations

from tests.attacks.catalogue.row import HELD, OPEN, Row

SEEN = "test_room.py::test_nothing_is_got, test_room.py::test_at_none_it_is, test_fence.py::test_nothing_is_got"
HOLE = "test_room.py::test_without_its_defence_it_is, test_fence.py::test_without_its_defence_it_is"
OPEN_AT_FS = "test_fence.py::test_what_a_fence_does_not_hold"
ENDED = "test_limits.py::test_it_is_ended_and_named"
UNLIMITED = "test_limits.py::test_without_its_limit_it_succeeds"
NETWORK = "test_network.py::test_what_is_not_listed_is_refused_and_told"
SECOND = "test_room.py::test_sockets_and_signals_have_a_second_defence"
ALONE = "tests/contract/sandbox/test_room.py"
NOT_BOUND = "nothing of it is bound"

ROWS = (
    Row(
        "The environment of Interlock, also through the first process of the sandbox",
        "a process namespace; bubblewrap gets no other environment",
        SEEN, fs=HELD, none=OPEN, hole=HOLE, number=1,
    ),
    Row("A key in your home, or that of `interlock dev`, also through another process", NOT_BOUND, SEEN, fs=HELD, none=OPEN, hole=HOLE, number=2),
    Row("`/etc/shadow`, as root", "selected files of `/etc` are bound, this one is not", SEEN, fs=HELD, none=OPEN, hole=HOLE, number=3),
    Row("A write to the store", NOT_BOUND, SEEN, fs=HELD, none=OPEN, hole=HOLE, number=4),
    Row("A write to what setup made, for all later attempts", NOT_BOUND, SEEN, fs=HELD, none=OPEN, hole=HOLE, number=5),
    Row("A write to the journal", NOT_BOUND, SEEN, fs=HELD, none=OPEN, hole=HOLE, number=6),
    Row("Another checkout; its own log", NOT_BOUND, SEEN, fs=HELD, none=OPEN, hole=HOLE, number=7),
    Row("A signal to a process outside", "a process namespace", SEEN, fs=HELD, none=OPEN, hole=HOLE, number=8),
    Row(
        "`ptrace` of a process outside, its files through `/proc`", "process and user namespaces",
        SEEN, fs=HELD, none=OPEN, hole=HOLE, number=9,
    ),
    Row(
        "A port on loopback", "a network namespace, if the program has no network or a list of hosts",
        SEEN, full="held; open with the whole network", fs="held; open with the whole network", none=OPEN, hole=HOLE, number=10,
    ),
    Row(
        "An abstract socket", "the same; in the whole network Landlock's scopes (Linux 6.12)",
        f"{SEEN}, {SECOND}", full="held; open with the whole network on older kernels", fs=HELD, none=OPEN, hole=HOLE, number=11,
    ),
    Row("The socket of a daemon such as docker", NOT_BOUND, SEEN, fs=HELD, none=OPEN, hole=HOLE, number=12),
    Row(
        "UDP, and with it DNS, to the outside", "a network namespace",
        SEEN, full="held; open with the whole network", fs="held; open with the whole network", none=OPEN, hole=HOLE, number=13,
    ),
    Row(
        "With a list of hosts: another host or port, an address, a private address behind a listed name, a redirect, a "
        "forged `Host`",
        "the proxy connects by name, looks addresses up itself, and tells what it refused",
        f"{NETWORK}, test_network.py::test_a_redirect_leads_nowhere_else, "
        "test_network.py::test_the_header_host_is_that_of_the_address, "
        "tests/contract/sandbox/test_fence.py::test_what_is_not_listed_is_refused_and_told",
        fs="held; open for other machines at the number of the proxy's port", none="open: a list of hosts needs `full` or `fs`", hole="test_holes.py::test_a_proxy_that_looks_at_nothing_fails", number=14,
    ),
    Row(
        "With a list of hosts: another site of the same server, named in a tunnel (`Host`, or the name that TLS sends)",
        "nothing: nobody looks into a tunnel; do not list a host that shares its addresses with sites of everybody",
        "", full=OPEN, fs=OPEN, none=OPEN,
    ),
    Row(
        "With `key: proxied`: the agent's key, in its environment, files, `/proc` or an answer; another host than its endpoint, "
        "also by a redirect; a key of another account",
        "the key is not in the sandbox; what adds it outside sends to one endpoint only, and drops other credentials",
        "tests/attacks/test_keys.py::test_nothing_is_got", fs="held: the agent is refused", none="held: the agent is refused",
        hole="tests/attacks/test_keys.py::test_without_its_defence_it_is",
    ),
    Row("A mount, as root", "no rights", "test_room.py::test_nothing_is_got, test_fence.py::test_nothing_is_got", fs=HELD, none="open for root", hole=HOLE, number=15),
    Row(
        "A user namespace of its own", "`--disable-userns`, unless `sandbox: {nested: true}`",
        SEEN, fs=HELD, none=OPEN, hole=HOLE, number=16,
    ),
    Row("The raw disk, as root", "a `/dev` of its own", SEEN, fs=HELD, none="open for root", hole=HOLE, number=17),
    Row("A device node, as root", "no rights", SEEN, fs=HELD, none="open for root", hole=HOLE, number=18),
    Row(
        "What is root's alone in the system that is bound (a file of mode 600 in `/opt`, modes and times), as root",
        "the program has an id that owns nothing, where the kernel and the file system can map ids (`doctor` says so)",
        "test_room.py::test_what_is_roots_alone_is_not_its_own, test_room.py::test_its_id_on_the_machine_is_nobodys",
        full="held; open where ids cannot be mapped", fs="open for root", none="open for root",
        hole="test_room.py::test_what_is_roots_alone_is_not_its_own[True]",
    ),
    Row(
        "Settings of the kernel in `/proc/sys` and `/sys`, files of the system, as root", "read-only, also for root; not there",
        SEEN, fs=HELD, none="open for root", hole=HOLE, number=19,
    ),
    Row("cgroups", "not there", SEEN, fs=HELD, none="open for root", hole=HOLE, number=20),
    Row(
        "A line typed into your terminal (TIOCSTI)", "a session of its own; in `interlock shell`, a filter of system calls",
        "test_room.py::test_21_the_terminal_is_out_of_reach, test_fence.py::test_21_no_terminal_is_reached, "
        "test_terminal.py::test_21_nothing_is_typed_for_the_shell_of_the_user",
        fs=HELD, none="held: the supervisor makes one, too; open in `interlock shell`", hole="test_room.py::test_21_the_terminal_is_out_of_reach[True]", number=21,
    ),
    Row(
        "A daemon that writes after the end",
        "the process namespace ends with its first process; the supervisor waits for it",
        "test_room.py::test_22_nothing_is_written_after_the_end, test_room.py::test_22_a_daemon_ends_with_the_room, "
        "test_fence.py::test_22_nothing_is_written_after_the_end",
        fs="held: its processes do not reach the supervisor", none="held for processes that the supervisor finds", hole="test_room.py::test_22_a_daemon_ends_with_the_room[True]",
        number=22,
    ),
    Row("An open file that it inherits", "nothing is inherited", SEEN, hole=HOLE, number=23),
    Row(
        "eBPF, the keyring of your session, the log of the kernel", "a filter of system calls",
        SEEN, fs=HELD, none=OPEN, hole=HOLE, number=24,
    ),
    Row(
        "A fork bomb, daemons that left their parent, threads without end",
        "a control group, also for root, or it is counted ten times a second; it is ended alone",
        ENDED, fs="held where a control group can be had, else open", none=OPEN, hole=UNLIMITED, number=25,
    ),
    Row(
        "All memory, by one process or many, or as files in `/dev/shm`", "the same",
        ENDED, fs="held where a control group can be had, else open", none=OPEN, hole=UNLIMITED, number=26,
    ),
    Row(
        "All memory at once, by files that belong to no process, so that the kernel ends the supervisor in place of the program",
        "the supervisor is never in the control group of the program",
        "tests/contract/sandbox/test_groups.py::test_no_supervisor_is_in_the_group_of_its_program, "
        "tests/contract/sandbox/test_groups.py::test_who_takes_all_memory_at_once_is_ended_and_no_supervisor",
        fs=HELD, none="open: there are no limits",
        hole="tests/contract/sandbox/test_groups.py::test_a_supervisor_that_is_in_the_group_is_ended",
    ),
    Row(
        "A full disk: in tree, home or `/tmp`, one file without end, sparse files, files that are removed and still open, "
        "many small files or folders, folders that are renamed without end",
        "what it wrote is counted, more often when the disk becomes fuller; one file is bound by the kernel; it is ended alone",
        f"{ENDED}, test_fence.py::test_27_what_it_writes_is_limited", fs=HELD, none=OPEN, hole=UNLIMITED, number=27,
    ),
    Row(
        "Memory that no process has mapped (`memfd`, System V), and what waits in sockets and pipes, where no control group can be had",
        "nothing; `doctor` says how to have one", full=OPEN, none=OPEN,
    ),
    Row(
        "A file that is removed and travels in a socket, open in no process; a folder that is moved, each time it is counted, to "
        "where was counted before",
        "nothing; it is gone when the sandbox ends, or counted by then, if what is left is read",
        full=OPEN, none=OPEN,
    ),
    Row(
        "A link in its own `PATH` or checkout, so that more is bound", "only your own entries of `PATH` are followed",
        "tests/contract/sandbox/test_room.py::test_links_of_the_candidate_open_nothing",
        fs=HELD, none=OPEN, hole="test_room.py::test_without_its_defence_it_is[02-key-in-the-users-home]",
    ),
    Row(
        "Files beside a program that a link of your `PATH` leads to (`~/.config/gh`, `~/src/tool/.env`); the project of which a "
        "folder is on your `PATH`",
        "the program alone is bound, unless it is in an installation that is known by its marks; nothing with `.git` or `.env` in it",
        f"{ALONE}::test_a_link_to_a_program_in_a_folder_of_something_else_opens_that_file_alone, "
        f"{ALONE}::test_a_folder_of_the_path_opens_no_project",
        fs=HELD, none=OPEN, hole="test_room.py::test_without_its_defence_it_is[02-key-in-the-users-home]",
    ),
    Row(
        "The limits of a process outside (`prlimit`), memory that your processes share", "namespaces; at `fs` the filter",
        "test_fence.py::test_nothing_is_got, test_fence.py::test_in_a_room_nothing_of_it_is_got",
        fs=HELD, none=OPEN, hole="test_fence.py::test_without_its_defence_it_is",
    ),
    Row(
        "Modes, times and attributes of files that belong to your user; their names and sizes", NOT_BOUND,
        f"test_fence.py::test_in_a_room_nothing_of_it_is_got, {OPEN_AT_FS}", fs=OPEN, none=OPEN, hole=OPEN_AT_FS,
    ),
    Row(
        "The list of your processes with their command lines; slowing them down", "a process namespace",
        f"test_fence.py::test_in_a_room_nothing_of_it_is_got, {OPEN_AT_FS}", fs=OPEN, none=OPEN, hole=OPEN_AT_FS,
    ),
)  # fmt: skip
