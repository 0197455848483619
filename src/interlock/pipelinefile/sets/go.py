"""Go: gotestsum or go test; golangci-lint, staticcheck or go vet; a build of everything, tests included.

Rule: modules come from the checkout's vendor folder (committed, or made by setup), never from the network.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

from interlock.core.pipeline import Report
from interlock.pipelinefile import repo
from interlock.pipelinefile.sets import ResolvedGate, by_exit_code, by_report, lines, require

# A checkout has an empty home of its own, so Go needs other folders for its caches.
PLACES = (
    'export GOTOOLCHAIN=local GOCACHE="${GOCACHE:-${TMPDIR:-/tmp}/go-build}" GOPATH="${GOPATH:-${TMPDIR:-/tmp}/go}"'
)


def test(folder: Path) -> ResolvedGate:
    """gotestsum with its report, if it is installed; else go test by its exit code."""
    applies = _is_go(folder) and any(name.endswith("_test.go") for name in repo.files(folder))
    if shutil.which("gotestsum"):
        run = lines(_go("go.test"), require("go.test", "gotestsum", "install it where the gate runs"), PLACES)
        run = lines(run, 'gotestsum --junitfile "$REPORT" -- ./...')
        ready = by_report(Report.JUNIT, run, "gotestsum, because it is installed", "go", "gotestsum", applies=applies)
        return replace(ready, canary="go")
    why = "go test by its exit code: with gotestsum installed it would be judged test by test"
    return replace(by_exit_code(_line("go.test", "go test ./..."), why, "go", applies=applies), canary="go")


def lint(folder: Path) -> ResolvedGate:
    """golangci-lint or staticcheck if configured, else go vet."""
    if config := repo.has(folder, ".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json"):
        return _golangci(folder, config)
    if repo.has(folder, "staticcheck.conf"):
        run = lines(require("go.lint", "staticcheck", "install it where the gate runs"), "staticcheck ./...")
        return by_exit_code(_line("go.lint", run), "staticcheck, because it is configured", "go", "staticcheck")
    return by_exit_code(
        _line("go.lint", "go vet ./..."), "go vet: no other linter is configured", "go", applies=_is_go(folder)
    )


def types(folder: Path) -> ResolvedGate:
    """Compile every package with its tests, and run none of them."""
    why = "everything compiles, tests included"
    return by_exit_code(_line("go.types", "go test -run '^$' ./..."), why, "go", applies=_is_go(folder))


def build(folder: Path) -> ResolvedGate:
    return by_exit_code(_line("go.build", "go build ./..."), "go build", "go", applies=_is_go(folder))


def _golangci(folder: Path, config: str) -> ResolvedGate:
    tool = require("go.lint", "golangci-lint", "install it where the gate runs")
    if re.search(r"version\W{1,4}2", repo.text(folder, config)):
        run = _line("go.lint", lines(tool, 'golangci-lint run --output.sarif.path="$REPORT"'))
        return by_report(Report.SARIF, run, f"golangci-lint, because of {config}", "go", "golangci-lint")
    why = f"golangci-lint by its exit code, because of {config}, which is of its first version"
    return by_exit_code(_line("go.lint", lines(tool, "golangci-lint run")), why, "go", "golangci-lint")


def _is_go(folder: Path) -> bool:
    return bool(repo.has(folder, "go.mod", "go.work"))


def _go(gate: str) -> str:
    return require(gate, "go", "install Go where the gate runs")


def _line(gate: str, command: str) -> str:
    return lines(_go(gate), PLACES, command)
