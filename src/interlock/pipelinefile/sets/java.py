"""Java: Maven or Gradle; the reports of their test runs merged into one; their own linters.

Rule: the installed program is used, and the project's wrapper only if there is no installed one. Reports in the
checkout are removed before the run, so that a candidate cannot bring any. Both tools keep packages in the user's own
folder and may have to download some: their gates have the network.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

from interlock.core.pipeline import Report
from interlock.pipelinefile import repo
from interlock.pipelinefile.sets import ResolvedGate, by_exit_code, by_report, cannot_run, lines, require

WHERE = "install it where the gate runs"
GATHER = """code=0
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


def test(folder: Path) -> ResolvedGate:
    if repo.has(folder, "pom.xml"):
        maven = _maven(folder)
        command = f"{maven} -B -fae -f pom.xml test"
        return _gathering(maven, command, "surefire-reports", "Maven's test phase, with the reports of surefire")
    if gradle := _gradle(folder):
        command = f"{gradle} --no-daemon --continue --no-build-cache cleanTest test"
        return _gathering(gradle, command, "test-results/test", "Gradle's test task, with its reports")
    return _nothing("test")


def lint(folder: Path) -> ResolvedGate:
    """Checkstyle or Spotless, if the build names it."""
    if repo.has(folder, "pom.xml"):
        for plugin in ("checkstyle", "spotless"):
            if f"{plugin}-maven-plugin" in repo.text(folder, "pom.xml"):
                return _line("lint", _maven(folder), f"-B {plugin}:check", f"{plugin}, because pom.xml names it")
    elif gradle := _gradle(folder):
        content = repo.text(folder, "build.gradle", "build.gradle.kts")
        for plugin, task in (("checkstyle", "checkstyleMain"), ("spotless", "spotlessCheck")):
            if re.search(rf"\b{plugin}\b", content):
                return _line("lint", gradle, f"--no-daemon {task}", f"{plugin}, because the build names it")
    return cannot_run("java.lint", "neither Checkstyle nor Spotless is named in the build")


def types(folder: Path) -> ResolvedGate:
    return _compile(folder, "types", "test-compile", "testClasses", "everything compiles, tests included")


def build(folder: Path) -> ResolvedGate:
    return _compile(folder, "build", "-DskipTests package", "assemble", "the package is built, no test is run")


def _compile(folder: Path, member: str, goals: str, task: str, why: str) -> ResolvedGate:
    if repo.has(folder, "pom.xml"):
        return _line(member, _maven(folder), f"-B -q {goals}", f"Maven: {why}")
    if gradle := _gradle(folder):
        return _line(member, gradle, f"--no-daemon -q {task}", f"Gradle: {why}")
    return _nothing(member)


def _gathering(program: str, command: str, reports: str, why: str) -> ResolvedGate:
    run = lines(require("java.test", program, WHERE), GATHER % {"command": command, "reports": reports})
    return replace(by_report(Report.JUNIT, run, why, *_on_path(program), network=True), canary="junit")


def _line(member: str, program: str, arguments: str, why: str) -> ResolvedGate:
    run = lines(require(f"java.{member}", program, WHERE), f"{program} {arguments}")
    return by_exit_code(run, why, *_on_path(program), network=True)


def _nothing(member: str) -> ResolvedGate:
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
