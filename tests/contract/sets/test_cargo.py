"""cargo test with our reporter, with a real toolchain where there is one."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.sets.projects import RUST, Ran, lay, run

from interlock.core.pipeline import Report
from interlock.pipelinefile.sets import ResolvedGate, resolve
from interlock.pipelinefile.sets.programs.run_cargo import cases, documented

LIB = RUST["src/lib.rs"]
UNIT = (
    "\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn unit() {\n        assert_eq!(super::add(1, 2), 3);\n    }\n\n"
    "    #[test]\n    #[ignore]\n    fn idle() {}\n}\n"
)
DOCUMENTED = "/// ```\n/// assert_eq!(adder::add(1, 2), 3);\n/// ```\n"
CRATE = {**RUST, "src/lib.rs": DOCUMENTED + LIB + UNIT}
GREEN = {
    "adder::tests::unit": "passed",
    "adder::tests::idle": "skipped",
    "adder::adds::adds": "passed",
    "doc::src/lib.rs": "passed",
}
SUM = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
SAID = f"\nrunning 2 tests\ntest a ... ok\ntest b ... ok\n\n{SUM}\n"
RED = SAID.replace("b ... ok", "b ... FAILED").replace("2 passed; 0 failed", "1 passed; 1 failed")


@pytest.fixture
def cargo(tmp_path: Path) -> Callable[[dict[str, str]], Ran]:
    project, tmp = tmp_path / "project", tmp_path / "tmp"
    project.mkdir()
    program = shutil.which("cargo")
    if program is None:
        pytest.skip("Rust is not installed")
    toolchains = Path(program).parent.parent.parent / ".rustup"
    before = f"export RUSTUP_HOME={toolchains}\n" if toolchains.is_dir() else ""
    there = ResolvedGate(f"{before}cargo --version && rustc --version", Report.NONE, False, "")
    if run(there, project, tmp, path=os.environ["PATH"]).code:
        pytest.skip("Rust has no toolchain here")

    def test(files: dict[str, str]) -> Ran:
        ready = resolve("rust.test", lay(project, files))
        return run(ResolvedGate(before + ready.run, ready.report, False, ""), project, tmp, path=os.environ["PATH"])

    return test


def test_each_test_is_told(cargo: Callable[[dict[str, str]], Ran]) -> None:
    green = cargo(CRATE)
    assert (green.code, green.cases()) == (0, GREEN), green.output
    red = cargo({"src/lib.rs": CRATE["src/lib.rs"].replace("a + b", "a - b")})
    failed = {name: "skipped" if how == "skipped" else "failure" for name, how in GREEN.items()}
    assert (red.code, red.cases()) == (101, failed), red.output


def test_a_doc_test_that_is_only_compiled_is_another_one() -> None:
    names = ("src/lib.rs - add (line 3)", "src/lib.rs - (line 9)", "src/lib.rs - add (line 3) - compile")
    told = [documented({"name": name})["name"] for name in names]
    assert told == ["src/lib.rs", "src/lib.rs", "src/lib.rs - compile"]


def test_a_program_that_ends_early(cargo: Callable[[dict[str, str]], Ran]) -> None:
    ran = cargo({**CRATE, "src/lib.rs": LIB.replace("a + b", "std::process::exit(0 * (a + b) as i32)") + UNIT})
    assert ran.code == 101, ran.output
    assert {name for name, how in ran.cases().items() if how == "failure"} == {
        "adder::(all tests)",
        "adder::adds::(all tests)",
    }


def test_one_at_a_time_with_a_child_that_prints(cargo: Callable[[dict[str, str]], Ran]) -> None:
    """Past the harness, which has written the name of the test alone by then."""
    speaks = 'std::process::Command::new("sh").args(["-c", "echo said"]).status().unwrap();'
    loud = UNIT.replace("assert_eq!", f"{speaks}\n        assert_eq!")
    one = {".cargo/config.toml": '[env]\nRUST_TEST_THREADS = "1"\n'}
    green = cargo({**CRATE, **one, "src/lib.rs": DOCUMENTED + LIB + loud})
    assert "... said\nok" in green.output, green.output
    assert (green.code, green.cases()) == (0, GREEN), green.output
    red = cargo({"src/lib.rs": (DOCUMENTED + LIB + loud).replace("a + b", "a - b")})
    assert red.cases()["adder::tests::unit"] == "failure", red.output
    assert "adder::(all tests)" not in red.cases(), red.output


def test_a_build_that_fails_leaves_no_report(cargo: Callable[[dict[str, str]], Ran]) -> None:
    ran = cargo({**CRATE, "src/lib.rs": "pub fn other() {}\n"})
    assert ran.code == 101
    assert not ran.report.exists()


@pytest.mark.parametrize(
    ("said", "code", "complaint"),
    [
        (SAID, 0, ""),
        (SAID.replace("test a", "printed by the product, test a"), 0, ""),
        (SAID + SAID, 0, "a has more than one result"),
        (SAID.partition("test b")[0], 0, "1 of 2 tests have a result, and b has none (exit code 0)"),
        (SAID.partition("test result")[0], 0, "the totals at its end do not match"),
        (SAID + "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured;\n", 0, "the totals at its end"),
        (SAID + "more", 0, "the totals at its end"),
        (SAID.replace("2 passed", "3 passed"), 0, "the totals at its end"),
        (SAID, 101, "exit code 101 does not match"),
        (RED, 101, ""),
        (RED, 0, "exit code 0 does"),
        ("", 0, "0 of 2 tests have a result"),
        (SAID.replace("a ... ok", "a ... from a child\nok"), 0, ""),
        (SAID.replace("a ... ok", "a ... from a child, and not ok\n\nmoreok"), 0, ""),
        (SAID.replace("b ... ok", "b - should panic ... \nfailures:\nok"), 0, ""),
        (RED.replace("b ... FAILED", "b ... all ok\nFAILED\n\nfailures:\n\n---- b stdout ----\nnot ok"), 101, ""),
        (RED.replace("b ... FAILED", "b ... said\nFAILED\nok"), 101, "the totals at its end"),
        (SAID.replace("a ... ok", "a ... from a child\ntest b ... ok\nok"), 0, "b has more than one result"),
        (SAID.replace("b ... ok", "b ... from a child"), 0, "1 of 2 tests have a result, and b has none"),
        (SAID.replace("a ... ok", "a ... ").partition("test b")[0], 0, "0 of 2 tests have a result"),
    ],
)  # fmt: skip
def test_what_a_program_says_has_to_fit(said: str, code: int, complaint: str) -> None:
    found = {case["name"]: case["said"] for case in cases("x", "", ["a", "b"], said, code)}
    assert found.get("(all tests)", "").startswith(complaint)
    assert ("(all tests)" in found) == bool(complaint)
