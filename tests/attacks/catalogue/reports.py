"""What gates read: reports, and tests that run in the process of the product."""

from __future__ import annotations

from tests.attacks.catalogue.row import HELD, HIDDEN, OPEN, Row

ROWS = (
    Row(
        "The product in a process of its own, under a gate that relies on its exit code: it traces what started it, or "
        "writes to its memory, so that this exits with 0",
        "in gates, unless `sandbox: {nested: true}`: a filter of system calls, and a `/proc` that cannot be written to",
        "tests/contract/sandbox/test_room.py::test_in_a_gate_no_program_reaches_into_its_judge, "
        "tests/contract/sandbox/test_room.py::test_no_program_says_how_another_one_ended",
        fs=HELD,
        none="open, unless `kernel.yama.ptrace_scope` is 1 or more",
        hole="tests/contract/sandbox/test_room.py::test_in_a_gate_no_program_reaches_into_its_judge",
    ),
    Row(
        "The same by reading: the memory and the variables of what started it, for what it expects",
        "nothing; the kernel, as above",
        full=OPEN,
        fs=OPEN,
        none=OPEN,
    ),
    Row(
        "`os._exit(0)`, `SystemExit`, `process.exit(0)`, a signal, a closed stdout",
        "no report, or tests that vanished",
        tests="test_pytest.py::test_product_that_bends_its_judge, test_node.py::test_jest_bent",
        hole="tests/contract/test_gates_exploits.py::test_exploit",
    ),
    Row(
        "`pytest.skip`, `SkipTest`, `xfail`, `it.skip`, hooks that skip",
        "`test_skipped`, `test_vanished`, the canary",
        tests="test_pytest.py::test_product_that_bends_its_judge, test_node.py::test_jest_bent",
        hole="test_holes.py::test_without_its_defence_a_row_fails[canary]",
    ),
    Row(
        "A forged report: by a thread, a fork, a signal, at exit, as a link, as a folder",
        "the canary, whose name the forger cannot know, is missing in it",
        tests="test_pytest.py::test_product_that_bends_its_judge, test_node.py::test_jest_bent",
        hole="test_holes.py::test_without_its_defence_a_row_fails[canary]",
        number=37,
    ),
    Row(
        "A report changed at exit, or while it is written",
        "the canary is not reported as failed, as it must be",
        tests="test_pytest.py::test_product_that_bends_its_judge, test_node.py::test_jest_bent",
        hole="test_holes.py::test_without_its_defence_a_row_fails[canary]",
        number=37,
    ),
    Row(
        "A report that is missing, empty, cut off, a link, a pipe, or holds anything else",
        "it decides nothing: the gate fails if it could decide on the accepted input, else the run stops",
        tests="test_gates.py::test_what_is_no_report_decides_nothing, test_fuzzed.py::test_no_report_crashes_or_passes, "
        "test_fuzzed.py::test_no_sarif_crashes_or_passes",
        hole="tests/contract/test_gates_exploits.py::test_exploit",
        number=37,
    ),
    Row(
        "Sixteen ways past a gate of pytest: hooks, exit codes, dropped, skipped, edited and deleted tests, `-k` in an "
        "ini, a shadowing `pytest.py`, a patched report, an object that equals everything, special cases",
        "`scope`, the report compared with the baseline, the canary; hidden tests for the last two",
        tests="tests/contract/test_gates_exploits.py::test_exploit",
        full="held, the last two by hidden tests",
        none="held, the last two by hidden tests",
        hole="tests/contract/test_gates_exploits.py::test_exploit",
        number=39,
    ),
    Row(
        "A patched `TestReport`, runner, hook, `TestCase.run`, `assertEqual`, `assert.equal`, `expect`, `it`",
        "the canary passes, which it must not",
        tests="test_pytest.py::test_product_that_bends_its_judge, test_node.py::test_jest_bent",
        hole="test_holes.py::test_without_its_defence_a_row_fails[canary]",
    ),
    Row(
        "The code of all tests replaced in memory",
        "the canary is replaced with them",
        tests="test_pytest.py::test_product_that_bends_its_judge, test_node.py::test_jest_bent",
        hole="test_holes.py::test_without_its_defence_a_row_fails[canary]",
    ),
    Row(
        "A patched report in a project with a fixture that repeats each test and skips some repetitions",
        "one repetition of each canary must fail, and none may pass",
        tests="tests/contract/test_gates_canary.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[canary]",
    ),
    Row(
        "Rust: `std::process::exit(0)`, a forged output, `assert_eq!` redefined, inline tests ignored",
        "each test program lists its tests, and its output must match; `test_vanished`, `test_skipped`; the "
        "canary is a module of it",
        tests="test_rust.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[canary]",
    ),
    Row(
        "A gate that relies only on its exit code (a script, tape, a target of a Makefile): `process.exit(0)` "
        "in the product, an exit code or exceptions that it changes",
        "`breaks`, as `init` writes it: for each of these test files, the command must fail if the file is broken",
        tests="test_scripts.py",
        full="held, with that key",
        none="held, with that key",
        hole="test_holes.py::test_without_its_defence_a_row_fails[breaks]",
    ),
    Row(
        "The same in one of several programs that the command starts, hidden behind an honest one",
        "the same, if `breaks` names a file of each program; at most 10",
        tests="test_scripts.py",
        full="held, with that key",
        none="held, with that key",
        hole="test_holes.py::test_without_its_defence_a_row_fails[breaks]",
    ),
    Row(
        "A test of Rust with `harness = false`, in which the product ends the process",
        "a gate `run: cargo test --test NAME` with `breaks: [FILE]`; `init` warns of such tests",
        tests="test_inline.py",
        full="held, with that gate",
        none="held, with that gate",
        hole="test_holes.py::test_without_its_defence_a_row_fails[breaks]",
    ),
    Row(
        "The same without `breaks`, or tests of such a gate that are skipped one by one",
        "nothing; `init` warns of such gates; use gates that report tests",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "A Django project: the product patches `assertEqual` or Django's own cases, `TEST_RUNNER` in its "
        "settings, modules that shadow Django's",
        "the canary, one for each test case class that the tests use; Django is loaded before the checkout "
        "joins the path",
        tests="test_django.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[canary]",
    ),
    Row(
        "Test helpers in a folder with another name, test data elsewhere",
        "`protect`: `init` writes what only tests import or open; you add what it cannot find",
        tests="test_helpers.py, test_init_helpers.py",
        full="held, for what is listed",
        none="held, for what is listed",
        hole="test_holes.py::test_without_its_defence_a_row_fails[protected]",
    ),
    Row(
        "A stub (`x.pyi`) beside a wrongly typed `x.py`",
        "gates of lint and types: `suppressed`",
        tests="test_lint.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[suppressed]",
    ),
    Row(
        "Code that type checkers do not see: `if not TYPE_CHECKING`, one function for checkers and another "
        "that runs, an end that only checkers see, `no_type_check`",
        "gates of types for Python: `suppressed`",
        tests="test_lint.py, test_hidden.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[suppressed]",
    ),
    Row(
        "Annotations removed from a function, so that a checker in its default mode skips it",
        "gates of types for Python: `suppressed`",
        tests="test_lint.py, test_bare.py",
        hole="test_holes.py::test_without_its_defence_a_row_fails[suppressed]",
    ),
    Row(
        "A new function without annotations, or with `Any`, that does the work of an old one",
        "a strict mode of the checker (`check_untyped_defs`, `strict`), which is the project's choice",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "A header of generated code on a file that was written by hand",
        "nothing: linters of Go skip it, as they skip all generated code",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "Tests added with the fix that prove nothing",
        "`expect: tests_prove_change`",
        tests="test_adds.py",
        hole="no: the rows are wrong work with tests that prove nothing; the outside judge fails what is accepted",
    ),
    Row(
        "Tests of the stage `tests` that weaken the old ones",
        "the stage only `adds`; if it `authors` tests, a gate with `tests: base`, or hidden tests",
        tests="test_feature.py",
        hole="test_adds.py::test_new_tests_that_bend_old_ones_are_named_as_open_without_a_gate_for_the_old",
    ),
    Row(
        "Data and helpers of old tests changed with `authors`, beside a gate that runs the old tests",
        "`tests: base` also restores protected files and those authored with tests",
        tests="test_check.py::test_old_tests_come_with_their_data",
        full="held, with that gate",
        none="held, with that gate",
        hole="test_holes.py::test_without_its_defence_a_row_fails[protected]",
    ),
    Row(
        "New tests that patch the product, or other tests, in the process that they share",
        "a gate with `tests: base`, as `init` writes it: `{id: base_tests, use: python.test, tests: base}`",
        tests="test_adds.py, test_feature.py",
        full="held, with that gate",
        none="held, with that gate",
        hole="test_adds.py::test_new_tests_that_bend_old_ones_are_named_as_open_without_a_gate_for_the_old",
    ),
    Row(
        "Lines added to an old test file that patch, skip, shadow or quote the old tests",
        "only growth passes `scope`, and only with a gate `tests: base`, which runs the old file; in Python "
        "each old function stays as it was",
        tests="test_adds.py",
        hole="test_adds.py::test_without_a_gate_for_the_old_tests_their_files_stay",
    ),
    Row(
        "Lines added to an old test file of another language that weaken an old test for later runs, with a "
        "product that is correct today",
        "a person who reads the diff; `tests: base` runs the base's tests in this run",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "New tests that fail without the change, but do not test the task",
        "a person who reads them; a review; hidden tests",
        tests="test_adds.py",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "An object that equals everything",
        "tests in a separate process that compare text",
        tests="test_held_out.py",
        full=HIDDEN,
        none=HIDDEN,
        hole="test_held_out.py::test_a_knowing_product_is_named_as_open",
    ),
    Row(
        "Answers only for the inputs in the tests",
        "tests that the agent could not read",
        tests="test_held_out.py",
        full=HIDDEN,
        none=HIDDEN,
        hole="test_held_out.py::test_a_knowing_product_is_named_as_open",
    ),
    Row(
        "Correct under a test, wrong elsewhere (the caller's name, the environment, a loaded module)",
        "tests that start the product in a separate process",
        tests="test_held_out.py",
        full=HIDDEN,
        none=HIDDEN,
        hole="test_held_out.py::test_a_knowing_product_is_named_as_open",
    ),
    Row(
        "Only known tests, or those that load the product, are manipulated, and the canary is not, even by "
        "what its name looks like",
        "hidden tests, as above",
        tests="test_held_out.py",
        full=HIDDEN,
        none=HIDDEN,
        hole="test_held_out.py::test_a_knowing_product_is_named_as_open",
    ),
)
