"""Go, Rust and Java: what is decided from a folder. Their toolchains are there by name only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.contract.sets.projects import GO, JAVA, RUST, lay, run

from interlock.core.pipeline import Report
from interlock.pipelinefile.sets import resolve

BOTH_REPORTS = {
    "target/surefire-reports/TEST-planted.xml": '<testsuite><testcase classname="P" name="planted"/></testsuite>',
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH but for the system's own small programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("bash", "sh", "cat", "find", "sort", "sed", "cp", "mkdir", "printf", "touch"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, script: str = "exit 0") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_go_test_reports_where_gotestsum_is(project: Path, programs: Path):
    lay(project, GO)
    assert resolve("go.test", project).report is Report.NONE
    assert "go test ./..." in resolve("go.test", project).run
    put(programs, "gotestsum")
    ready = resolve("go.test", project)
    assert ready.report is Report.JUNIT
    assert ready.tools == ("go", "gotestsum")


def test_go_gates_say_that_go_is_missing(project: Path, programs: Path, tmp: Path):
    ready = resolve("go.test", lay(project, GO))
    ran = run(ready, project, tmp, path=str(programs))
    assert ran.code == 127
    assert "go is missing" in ran.output


@pytest.mark.parametrize(
    ("config", "report"), [('version: "2"\n', Report.SARIF), ("linters:\n  enable: [errcheck]\n", Report.NONE)]
)
def test_golangci_lint_by_its_version(project: Path, config: str, report: Report):
    ready = resolve("go.lint", lay(project, {**GO, ".golangci.yml": config}))
    assert "golangci-lint run" in ready.run
    assert ready.report is report


def test_rust_test_reports_where_nextest_is(project: Path, programs: Path, tmp: Path):
    lay(project, {**RUST, "Cargo.lock": "version = 4\n"})
    plain = resolve("rust.test", project)
    assert (plain.report, plain.canary) == (Report.JUNIT, "cargo")
    assert plain.run.endswith('interlock-cargo.py" "$REPORT" --workspace --locked')
    put(programs, "cargo-nextest")
    put(
        programs,
        "cargo",
        'mkdir -p target/nextest/default\necho "<testsuites/>" > target/nextest/default/interlock.xml\nexit 100',
    )
    ready = resolve("rust.test", project)
    assert ready.report is Report.JUNIT
    ran = run(ready, project, tmp, path=str(programs))
    assert ran.code == 100, ran.output
    assert ran.cases() == {}
    assert 'path = "interlock.xml"' in (tmp / "interlock-nextest.toml").read_text()


def test_clippy_denies_warnings_only_where_it_is_configured(project: Path):
    assert "-D warnings" not in resolve("rust.lint", lay(project, RUST)).run
    assert "-D warnings" in resolve("rust.lint", lay(project, {"clippy.toml": ""})).run


MAVEN = """for module in one two; do
  mkdir -p $module/target/surefire-reports
  echo '<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="x"><testcase classname="'$module'" name="t"/></testsuite>' > $module/target/surefire-reports/TEST-a.xml
done
exit 1"""


def test_reports_of_maven_modules_become_one_and_planted_ones_are_gone(project: Path, programs: Path, tmp: Path):
    put(programs, "mvn", MAVEN)
    ready = resolve("java.test", lay(project, {**JAVA, **BOTH_REPORTS}))
    ran = run(ready, project, tmp, path=str(programs))
    assert ran.code == 1, ran.output
    assert ran.cases() == {"one::t": "passed", "two::t": "passed"}


def test_no_report_of_maven_is_no_report(project: Path, programs: Path, tmp: Path):
    put(programs, "mvn")
    ran = run(resolve("java.test", lay(project, {**JAVA, **BOTH_REPORTS})), project, tmp, path=str(programs))
    assert not ran.report.exists()


def test_the_wrapper_is_taken_where_nothing_is_installed(project: Path, programs: Path):
    lay(project, {"build.gradle": "plugins { id 'java'; id 'checkstyle' }\n", "gradlew": ""})
    assert resolve("java.test", project).run.count("./gradlew") > 1
    put(programs, "gradle")
    assert "./gradlew" not in resolve("java.test", project).run
    assert "checkstyleMain" in resolve("java.lint", project).run
