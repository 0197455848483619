"""Rust: cargo nextest or cargo test; clippy; cargo check and build.

Rule: the toolchain is the user's; packages come from the checkout's `.cargo-home`, which setup makes, if it exists; the
lock file is never rewritten.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

from interlock.core.pipeline import Report
from interlock.pipelinefile import repo
from interlock.pipelinefile.sets import ResolvedGate, by_exit_code, by_report, lines, require, write_program

PACKAGES = 'if [ -d .cargo-home ]; then export CARGO_HOME="$PWD/.cargo-home" CARGO_NET_OFFLINE=true; fi'
# nextest takes the path of its report only from a configuration, and writes it below its own folder.
NEXTEST = r"""printf '[profile.default.junit]\npath = "interlock.xml"\n' > "${TMPDIR:-/tmp}/interlock-nextest.toml"
code=0
cargo nextest run --workspace%s --no-fail-fast --profile default \
  --tool-config-file "interlock:${TMPDIR:-/tmp}/interlock-nextest.toml" || code=$?
cp "${CARGO_TARGET_DIR:-target}/nextest/default/interlock.xml" "$REPORT" || true
exit $code"""


def test(folder: Path) -> ResolvedGate:
    """nextest with its report, if it is installed; else cargo test with a reporter of ours."""
    tools = ("cargo",)
    if shutil.which("cargo-nextest"):
        run = lines(require("rust.test", "cargo-nextest", "install it where the gate runs"), NEXTEST % _locked(folder))
        why = "cargo nextest, because it is installed; it runs no tests in documentation"
        line = _line("rust.test", run)
        ready = by_report(Report.JUNIT, line, why, "cargo", "cargo-nextest", applies=_is_rust(folder))
        return replace(ready, canary="cargo")
    why = "cargo test, and what each test program says of its tests"
    program = '"${TMPDIR:-/tmp}/interlock-cargo.py"'
    run = lines(
        require("rust.test", "python3", "install Python, which reads what cargo test says"),
        write_program("run_cargo.py", program),
        f'python3 -I -B {program} "$REPORT" --workspace{_locked(folder)}',
    )
    ready = by_report(Report.JUNIT, _line("rust.test", run), why, *tools, "python3", applies=_is_rust(folder))
    return replace(ready, canary="cargo")


def lint(folder: Path) -> ResolvedGate:
    """clippy; warnings are errors if it is configured."""
    configured = bool(repo.has(folder, "clippy.toml", ".clippy.toml")) or "[lints" in repo.text(folder, "Cargo.toml")
    why = "clippy, because it is configured" if configured else "clippy: errors alone count, since it is not configured"
    clippy = require("rust.lint", "cargo-clippy", "rustup component add clippy")
    command = f"cargo clippy --workspace --all-targets{_locked(folder)}{' -- -D warnings' if configured else ''}"
    return by_exit_code(
        _line("rust.lint", lines(clippy, command)), why, "cargo", "cargo-clippy", applies=_is_rust(folder)
    )


def types(folder: Path) -> ResolvedGate:
    why = "everything compiles, tests included"
    run = _cargo(folder, "types", "check --workspace --all-targets")
    return by_exit_code(run, why, "cargo", applies=_is_rust(folder))


def build(folder: Path) -> ResolvedGate:
    return by_exit_code(_cargo(folder, "build", "build --workspace"), "cargo build", "cargo", applies=_is_rust(folder))


def _is_rust(folder: Path) -> bool:
    return bool(repo.has(folder, "Cargo.toml"))


def _locked(folder: Path) -> str:
    return " --locked" if repo.has(folder, "Cargo.lock") else ""


def _cargo(folder: Path, member: str, arguments: str) -> str:
    return _line(f"rust.{member}", f"cargo {arguments}{_locked(folder)}")


def _line(gate: str, command: str) -> str:
    return lines(require(gate, "cargo", "install Rust where the gate runs"), _toolchain(), PACKAGES, command)


def _toolchain() -> str:
    """The line that sets the folder of rustup's toolchains: rustup looks below HOME, and a checkout has its own."""
    place = Path.home() / ".rustup"
    return f'export RUSTUP_HOME="${{RUSTUP_HOME:-{shlex.quote(str(place))}}}"' if place.is_dir() else ""
