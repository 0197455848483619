"""The ready gates of compiled languages: Go, Java and Rust.

Go: gotestsum or go test; golangci-lint, staticcheck or go vet; a build of everything, tests included. Rule: modules
come from the checkout's vendor folder (committed, or made by setup), never from the network.

Java: Maven or Gradle; the reports of their test runs merged into one; their own linters. Rule: the installed program is
used, and the project's wrapper only if there is no installed one. Reports in the checkout are removed before the run,
so that a candidate cannot bring any. Both tools keep packages in the user's own folder and may have to download some:
their gates have the network.

Rust: cargo nextest or cargo test; clippy; cargo check and build. Rule: the toolchain is the user's; packages come from
the checkout's `.cargo-home`, which setup makes, if it exists; the lock file is never rewritten.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from interlock.core.pipeline import Report
from interlock.pipelinefile import repo
from interlock.pipelinefile.sets import ResolvedGate, by_exit_code, by_report, cannot_run, lines, require, write_program

# --- Go -----------------------------------------------------------------------------------------


# A checkout has an empty home of its own, so Go needs other folders for its caches.
_GO_CACHES = (
    'export GOTOOLCHAIN=local GOCACHE="${GOCACHE:-${TMPDIR:-/tmp}/go-build}" GOPATH="${GOPATH:-${TMPDIR:-/tmp}/go}"'
)


def go_test(folder: Path) -> ResolvedGate:
    """gotestsum with its report, if it is installed; else go test by its exit code."""
    applies = _is_go(folder) and any(name.endswith("_test.go") for name in repo.files(folder))
    if shutil.which("gotestsum"):
        run = lines(
            _require_go("go.test"), require("go.test", "gotestsum", "install it where the gate runs"), _GO_CACHES
        )
        run = lines(run, 'gotestsum --junitfile "$REPORT" -- ./...')
        ready = by_report(Report.JUNIT, run, "gotestsum, because it is installed", "go", "gotestsum", applies=applies)
        return replace(ready, canary="go")
    why = "go test by its exit code: with gotestsum installed it would be judged test by test"
    return replace(by_exit_code(_go_line("go.test", "go test ./..."), why, "go", applies=applies), canary="go")


def go_lint(folder: Path) -> ResolvedGate:
    """golangci-lint or staticcheck if configured, else go vet."""
    if config := repo.has(folder, ".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json"):
        return _golangci(folder, config)
    if repo.has(folder, "staticcheck.conf"):
        run = lines(require("go.lint", "staticcheck", "install it where the gate runs"), "staticcheck ./...")
        return by_exit_code(_go_line("go.lint", run), "staticcheck, because it is configured", "go", "staticcheck")
    return by_exit_code(
        _go_line("go.lint", "go vet ./..."), "go vet: no other linter is configured", "go", applies=_is_go(folder)
    )


def go_types(folder: Path) -> ResolvedGate:
    """Compile every package with its tests, and run none of them."""
    why = "everything compiles, tests included"
    return by_exit_code(_go_line("go.types", "go test -run '^$' ./..."), why, "go", applies=_is_go(folder))


def go_build(folder: Path) -> ResolvedGate:
    return by_exit_code(_go_line("go.build", "go build ./..."), "go build", "go", applies=_is_go(folder))


def _golangci(folder: Path, config: str) -> ResolvedGate:
    tool = require("go.lint", "golangci-lint", "install it where the gate runs")
    if re.search(r"version\W{1,4}2", repo.text(folder, config)):
        run = _go_line("go.lint", lines(tool, 'golangci-lint run --output.sarif.path="$REPORT"'))
        return by_report(Report.SARIF, run, f"golangci-lint, because of {config}", "go", "golangci-lint")
    why = f"golangci-lint by its exit code, because of {config}, which is of its first version"
    return by_exit_code(_go_line("go.lint", lines(tool, "golangci-lint run")), why, "go", "golangci-lint")


def _is_go(folder: Path) -> bool:
    return bool(repo.has(folder, "go.mod", "go.work"))


def _require_go(gate: str) -> str:
    return require(gate, "go", "install Go where the gate runs")


def _go_line(gate: str, command: str) -> str:
    return lines(_require_go(gate), _GO_CACHES, command)


# --- Java ---------------------------------------------------------------------------------------


_JAVA_WHERE = "install it where the gate runs"
_GATHER = """code=0
found="${TMPDIR:-/tmp}/interlock-reports"
find . -path '*/%(reports)s/TEST-*.xml' -delete
%(command)s || code=$?
find . -path '*/%(reports)s/TEST-*.xml' | LC_ALL=C sort > "$found"
if [ -s "$found" ]; then
  {
    echo '<testsuites>'
    while IFS= read -r report; do sed 's/^[[:space:]]*<?xml[^>]*?>//' "$report"; done < "$found"
    echo '</testsuites>'
  } > "$REPORT"
fi
exit $code"""


def java_test(folder: Path) -> ResolvedGate:
    if repo.has(folder, "pom.xml"):
        maven = _maven(folder)
        command = f"{maven} -B -fae -f pom.xml test"
        return _gathering(maven, command, "surefire-reports", "Maven's test phase, with the reports of surefire")
    if gradle := _gradle(folder):
        command = f"{gradle} --no-daemon --continue --no-build-cache cleanTest test"
        return _gathering(gradle, command, "test-results/test", "Gradle's test task, with its reports")
    return _no_java("test")


def java_lint(folder: Path) -> ResolvedGate:
    """Checkstyle or Spotless, if the build names it."""
    if repo.has(folder, "pom.xml"):
        for plugin in ("checkstyle", "spotless"):
            if f"{plugin}-maven-plugin" in repo.text(folder, "pom.xml"):
                return _java_line("lint", _maven(folder), f"-B {plugin}:check", f"{plugin}, because pom.xml names it")
    elif gradle := _gradle(folder):
        content = repo.text(folder, "build.gradle", "build.gradle.kts")
        for plugin, task in (("checkstyle", "checkstyleMain"), ("spotless", "spotlessCheck")):
            if re.search(rf"\b{plugin}\b", content):
                return _java_line("lint", gradle, f"--no-daemon {task}", f"{plugin}, because the build names it")
    return cannot_run("java.lint", "neither Checkstyle nor Spotless is named in the build")


def java_types(folder: Path) -> ResolvedGate:
    return _compile_java(folder, "types", "test-compile", "testClasses", "everything compiles, tests included")


def java_build(folder: Path) -> ResolvedGate:
    return _compile_java(folder, "build", "-DskipTests package", "assemble", "the package is built, no test is run")


def _compile_java(folder: Path, member: str, goals: str, task: str, why: str) -> ResolvedGate:
    if repo.has(folder, "pom.xml"):
        return _java_line(member, _maven(folder), f"-B -q {goals}", f"Maven: {why}")
    if gradle := _gradle(folder):
        return _java_line(member, gradle, f"--no-daemon -q {task}", f"Gradle: {why}")
    return _no_java(member)


def _gathering(program: str, command: str, reports: str, why: str) -> ResolvedGate:
    run = lines(require("java.test", program, _JAVA_WHERE), _GATHER % {"command": command, "reports": reports})
    return replace(by_report(Report.JUNIT, run, why, *_on_path(program), network=True), canary="junit")


def _java_line(member: str, program: str, arguments: str, why: str) -> ResolvedGate:
    run = lines(require(f"java.{member}", program, _JAVA_WHERE), f"{program} {arguments}")
    return by_exit_code(run, why, *_on_path(program), network=True)


def _no_java(member: str) -> ResolvedGate:
    return cannot_run(f"java.{member}", "there is no pom.xml and no build.gradle here")


def _maven(folder: Path) -> str:
    return "./mvnw" if repo.has(folder, "mvnw") and not shutil.which("mvn") else "mvn"


def _gradle(folder: Path) -> str:
    """The program; empty if there is no Gradle build."""
    if not repo.has(folder, "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"):
        return ""
    return "./gradlew" if repo.has(folder, "gradlew") and not shutil.which("gradle") else "gradle"


def _on_path(program: str) -> tuple[str, ...]:
    return () if program.startswith("./") else (program,)


# --- Rust ---------------------------------------------------------------------------------------


_CARGO_HOME = 'if [ -d .cargo-home ]; then export CARGO_HOME="$PWD/.cargo-home" CARGO_NET_OFFLINE=true; fi'
# nextest takes the path of its report only from a configuration, and writes it below its own folder.
_NEXTEST = r"""printf '[profile.default.junit]\npath = "interlock.xml"\n' > "${TMPDIR:-/tmp}/interlock-nextest.toml"
code=0
cargo nextest run --workspace%s --no-fail-fast --profile default \
  --tool-config-file "interlock:${TMPDIR:-/tmp}/interlock-nextest.toml" || code=$?
cp "${CARGO_TARGET_DIR:-target}/nextest/default/interlock.xml" "$REPORT" || true
exit $code"""


def rust_test(folder: Path) -> ResolvedGate:
    """nextest with its report, if it is installed; else cargo test with a reporter of ours."""
    tools = ("cargo",)
    if shutil.which("cargo-nextest"):
        run = lines(require("rust.test", "cargo-nextest", "install it where the gate runs"), _NEXTEST % _locked(folder))
        why = "cargo nextest, because it is installed; it runs no tests in documentation"
        line = _rust_line("rust.test", run)
        ready = by_report(Report.JUNIT, line, why, "cargo", "cargo-nextest", applies=_is_rust(folder))
        return replace(ready, canary="cargo")
    why = "cargo test, and what each test program says of its tests"
    program = '"${TMPDIR:-/tmp}/interlock-cargo.py"'
    run = lines(
        require("rust.test", "python3", "install Python, which reads what cargo test says"),
        write_program("run_cargo.py", program),
        f'python3 -I -B {program} "$REPORT" --workspace{_locked(folder)}',
    )
    ready = by_report(Report.JUNIT, _rust_line("rust.test", run), why, *tools, "python3", applies=_is_rust(folder))
    return replace(ready, canary="cargo")


def rust_lint(folder: Path) -> ResolvedGate:
    """clippy; warnings are errors if it is configured."""
    configured = bool(repo.has(folder, "clippy.toml", ".clippy.toml")) or "[lints" in repo.text(folder, "Cargo.toml")
    why = "clippy, because it is configured" if configured else "clippy: errors alone count, since it is not configured"
    clippy = require("rust.lint", "cargo-clippy", "rustup component add clippy")
    command = f"cargo clippy --workspace --all-targets{_locked(folder)}{' -- -D warnings' if configured else ''}"
    return by_exit_code(
        _rust_line("rust.lint", lines(clippy, command)), why, "cargo", "cargo-clippy", applies=_is_rust(folder)
    )


def rust_types(folder: Path) -> ResolvedGate:
    why = "everything compiles, tests included"
    run = _cargo(folder, "types", "check --workspace --all-targets")
    return by_exit_code(run, why, "cargo", applies=_is_rust(folder))


def rust_build(folder: Path) -> ResolvedGate:
    return by_exit_code(_cargo(folder, "build", "build --workspace"), "cargo build", "cargo", applies=_is_rust(folder))


def _is_rust(folder: Path) -> bool:
    return bool(repo.has(folder, "Cargo.toml"))


def _locked(folder: Path) -> str:
    return " --locked" if repo.has(folder, "Cargo.lock") else ""


def _cargo(folder: Path, member: str, arguments: str) -> str:
    return _rust_line(f"rust.{member}", f"cargo {arguments}{_locked(folder)}")


def _rust_line(gate: str, command: str) -> str:
    return lines(require(gate, "cargo", "install Rust where the gate runs"), _toolchain(), _CARGO_HOME, command)


def _toolchain() -> str:
    """The line that sets the folder of rustup's toolchains: rustup looks below HOME, and a checkout has its own."""
    place = Path.home() / ".rustup"
    return f'export RUSTUP_HOME="${{RUSTUP_HOME:-{shlex.quote(str(place))}}}"' if place.is_dir() else ""


GATES = MappingProxyType(
    {
        "go.build": go_build,
        "go.lint": go_lint,
        "go.types": go_types,
        "go.test": go_test,
        "java.build": java_build,
        "java.lint": java_lint,
        "java.types": java_types,
        "java.test": java_test,
        "rust.build": rust_build,
        "rust.lint": rust_lint,
        "rust.types": rust_types,
        "rust.test": rust_test,
    }
)
