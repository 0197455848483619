"""What a program leaves in its checkout, or in its state, for Interlock to read."""

from __future__ import annotations

from tests.attacks.catalogue.row import HELD, Row

REFUSED = "test_left_behind.py::test_it_is_refused"
HOLE = "test_left_behind.py::test_without_its_defence_it_is_taken"

ROWS = (
    Row(
        "Forged whiteouts, opaque folders and other attributes of overlays, to hide a change or to invent one",
        "the upper layer only says where to look; what counts is what the overlay shows",
        "test_layers.py::test_28_forged_layers_hide_and_invent_nothing, "
        "test_layers.py::test_28_what_was_forged_is_not_in_a_gate",
        fs="held: checkouts are plain there", none="held: checkouts are plain there",
        hole="test_layers.py::test_28_without_the_rule_a_change_is_hidden",
        number=28,
    ),
    Row(
        "A setuid or setgid file", "a commit has no such bit; nobody else on the machine comes into a checkout",
        "test_left_behind.py::test_29_a_setuid_file_is_a_program_and_no_more",
        hole="no: a tree has no place for the bit", number=29,
    ),
    Row("A fifo, a socket, a device, also in place of a file", "`workspace.special`", REFUSED, hole=f"{HOLE}[30-fifo]", number=30),
    Row(
        "A symlink that leads out, directly, through another one, or in place of a folder", "`workspace.link`",
        REFUSED, hole=f"{HOLE}[31-link-out]", number=31,
    ),
    Row(
        "A file or folder that is swapped for a link or a fifo while it is read",
        "nothing is read before all of its processes are dead; each folder is opened from the one above, and no link followed",
        "test_left_behind.py::test_31_a_file_swapped_for_a_link_while_it_is_read_is_not_followed, "
        "test_left_behind.py::test_31_a_folder_swapped_for_a_link_while_it_is_read_is_not_followed, "
        "test_left_behind.py::test_31_a_file_swapped_for_a_fifo_while_it_is_read_is_no_file",
        hole="test_left_behind.py::test_31_a_file_swapped_for_a_link_while_it_is_read_is_not_followed", number=31,
    ),
    Row(
        "A hard link to a file outside", "at `full` and `fs` none can be made; else it is read as a copy, and never written to",
        "test_left_behind.py::test_32_a_hard_link_is_a_copy_and_full_makes_none_to_the_outside, "
        "test_fence.py::test_nothing_is_got",
        fs=HELD, none="held: it is a copy of what the program can read anyway",
        hole="test_left_behind.py::test_32_a_hard_link_is_a_copy_and_full_makes_none_to_the_outside[none]", number=32,
    ),
    Row(
        "`.git` inside the tree, `.GIT`, `GIT~1`, `.g<U+200C>it`", "`workspace.nested_repository`",
        REFUSED, hole=f"{HOLE}[33-letter-case]", number=33,
    ),
    Row(
        "What it makes of its own `.git`: hooks, `core.fsmonitor`, objects, refs, excludes, locks, another repository",
        "it is never read: files are compared with the accepted input",
        "tests/contract/test_workspaces_attacks.py",
        hole="no: each test is what works from a linked worktree of git", number=33,
    ),
    Row(
        "`.gitattributes` that name a filter, a driver or a conversion, its own or one of your configuration",
        "Interlock reads and writes contents itself; git runs without attributes and configuration",
        "test_left_behind.py::test_34_no_filter_runs_by_attributes_of_the_work, "
        "test_workspaces.py::test_attributes_rewrite_nothing_in_either_direction",
        hole="no: git is not asked for a content that an attribute could change", number=34,
    ),
    Row(
        "Names that look like options or commands: `-rf`, `--config=x`, `$(x)`, a line break", "names are data",
        "test_left_behind.py::test_35_names_that_look_like_options_or_commands_are_names, "
        "test_workspaces.py::test_odd_names_come_along_byte_for_byte, "
        "test_bad_input_files.py::test_names_of_any_bytes_come_through_and_come_out_harmless",
        hole=f"{HOLE}[35-line-break-in-a-finding]", number=35,
    ),
    Row(
        "Links in the state of its program, or in place of it: to a file of yours that Interlock would read, to a folder of "
        "which it would remove something, or to a file that it would make",
        "before anything is read there, removed or written again, all is removed but folders, regular files, and links to these",
        "test_state.py", hole="test_state.py::test_a_state_that_is_a_link_to_a_home_removes_nothing_there[True]",
    ),
    Row(
        "In its state, a fifo as a log, a file or a line without end, folders without end, a database whose answer takes forever",
        "the same; what is read is a regular file, in parts, and the database has a limit",
        "test_state.py",
        hole="no: without it the test would never end",
    ),
)  # fmt: skip
