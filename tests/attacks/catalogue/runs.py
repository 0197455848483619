"""What runs beside the judged code: tools, configuration, setup."""

from __future__ import annotations

from tests.attacks.catalogue.row import HELD, OPEN, Row

ROWS = (
    Row(
        "Configuration or modules above the checkout (`../../ruff.toml`, `../../../node_modules`), which tools "
        "of gates find when they search upwards, in later runs too",
        "before each checkout is made, all that Interlock did not make is removed from its own folders above "
        "it, with a note in the verdict; gates have folders of their own",
        tests="test_above.py, tests/unit/workspaces/test_folders_above.py",
        hole="test_above.py::test_configuration_in_the_users_own_folders_is_named_as_open",
    ),
    Row(
        "The same in your own folders above these: your home directory, `~/.cache`, a folder that "
        "`INTERLOCK_CACHE_HOME` names; or in Interlock's folders by a process that runs at the same time as "
        "the gate",
        "nothing; a project with its own configuration in the root, as ruff and mypy need it, is safe from some of it; at `full` these folders are not there, at `fs` they cannot be read or written",
        tests="test_above.py::test_configuration_in_the_users_own_folders_is_named_as_open, "
        "test_above.py::test_at_full_none_of_these_folders_is_there, test_fence.py::test_nothing_is_got",
        fs=HELD,
        none=OPEN,
        hole="test_above.py::test_configuration_in_the_users_own_folders_is_named_as_open",
    ),
    Row(
        "Tools in the candidate: `.venv/bin/python3`, `node_modules/.bin/jest`",
        "`scope`: `setup_path`; the files that setup made replace them",
        tests="test_check.py, test_setup.py",
        hole="test_holes.py::test_tools_of_the_candidate_in_the_place_of_those_of_setup[True]",
    ),
    Row(
        "A program in a folder that a relative or empty entry of your `PATH` names: `bin/node`, "
        "`node_modules/.bin/python3`",
        "agents, gates and setup get only the absolute entries; the run and `doctor` list the others",
        tests="tests/unit/process/test_programs.py",
        hole="no: what is not on the path cannot be found; honest entries beside it are",
        number=36,
    ),
    Row(
        "A folder that git takes for a bare repository (`HEAD`, `objects`, `refs`, or `commondir`), whose "
        "`config` names programs, for a later stage with that `dir`",
        "`scope`: `repository`; aider, which starts git itself, is configured to accept no such folder",
        tests="test_repositories.py, test_gates.py",
        hole="no: a folder that is no repository is no finding beside it",
    ),
    Row(
        "A `dir` that an earlier stage replaced by a link, so that a path relative to it leads to a planted program",
        "no agent starts in a folder behind a link",
        tests="test_program.py",
        hole="no: the agent is refused before it starts; a folder that is none is entered beside it",
    ),
    Row(
        "A dependency from a path, an address, or another index",
        "`scope`: `dependency`",
        tests="test_setup.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[dependency]",
    ),
    Row(
        "A lock file with another package, address, source or hash for a locked name",
        "`scope`: `dependency`",
        tests="test_locks.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[dependency]",
    ),
    Row(
        "A dependency that makes setup fail",
        "a finding, and no verdict of the tests",
        tests="test_setup.py",
        hole="no: a verdict that was given for want of a setup would be a pass, which the outside judge fails",
    ),
    Row(
        "Packages that a rejected attempt installed",
        "the setup's key includes every file that it installs from",
        tests="test_setup.py::test_what_a_rejected_attempt_installed_reaches_no_other",
        hole="no: the next attempt is accepted only with the package, and the test asserts that it is not",
        number=38,
    ),
    Row(
        "What setup made and all attempts share: an attempt writes to it, or to its own copy",
        "at `full` the original is not bound, at `fs` it cannot be written; each checkout gets a copy",
        tests="test_room.py::test_nothing_is_got, test_workspaces_setup.py::test_made_once_copied_into_each_place_and_left_out",
        fs=HELD,
        none="open for the original, held for the copy",
        hole="test_room.py::test_without_its_defence_it_is[05-setup-cache]",
        number=38,
    ),
    Row(
        "Code that a build or an install runs: `setup.py`, `binding.gyp`, `build.rs`, install scripts, build "
        "hooks in tables",
        "`scope`: `protected`, `judged_table`",
        tests="test_names.py",
        full="held, for those by name",
        none="held, for those by name",
        hole="test_holes.py::test_without_its_defence_a_row_fails[judged_table]",
    ),
    Row(
        "Product code that setup imports or runs: a version by `attr:`, a script of a build, a dependency "
        "inside the repository",
        "a setup with a `key` runs with the code of the base",
        tests="test_setup.py::test_product_code_that_setup_imports",
        hole="test_setup.py::test_a_dependency_that_knows_the_tests_is_named_as_open",
    ),
    Row(
        "The same if `key` names product code, if there is no `key`, or if a copy of the project is installed",
        "nothing: what it leaves influences the verdicts, in attempts with the same files",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "The same in `settle`, which runs in the checkout and builds a project with compiled parts there",
        "it reaches only that checkout, no other gate and no later attempt",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "A hostile package from the index, by its name",
        "nothing here: it is code in the product's process; a person reads `dependencies`",
        tests="test_setup.py::test_a_dependency_that_knows_the_tests_is_named_as_open",
        full=OPEN,
        none=OPEN,
    ),
)
