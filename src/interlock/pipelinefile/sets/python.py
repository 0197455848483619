"""Python: pytest or unittest; ruff, flake8 or pylint; mypy or pyright; a build that compiles every file.

Rule: tools run in the first `python3` on PATH: that of the environment that setup made, if there is one. The checkout's
own sources come first on the module path, so that an editable install made elsewhere is not judged in their place.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from interlock.core.pipeline import Report
from interlock.pipelinefile import repo
from interlock.pipelinefile.runners import python_files
from interlock.pipelinefile.sets import (
    ResolvedGate,
    by_exit_code,
    by_report,
    cannot_run,
    inline_program,
    lines,
    require,
)
from interlock.text.globs import matches_any

TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|tests)\.py$")
DECLARED = (
    "pyproject.toml", "requirements.txt", "requirements-dev.txt", "requirements-test.txt", "dev-requirements.txt",
    "test-requirements.txt", "requirements/dev.txt", "requirements/test.txt", "requirements/tests.txt",
    "setup.py", "setup.cfg", "tox.ini", "noxfile.py", "Pipfile", "uv.lock", "poetry.lock", "pdm.lock",
)  # fmt: skip
PYTEST_CONFIGURATIONS = {  # in the order in which pytest looks for them; each with a pattern that it must contain
    **dict.fromkeys(("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"), ""),
    "pyproject.toml": r"^\s*\[tool\.pytest\b",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}
NOT_OURS = r"(^|/)(\.[^/]+|venv|node_modules|build|dist|docs?|examples?|tests?)/"
CASES = re.compile(r"\bunittest\b|^class \w+\(.*TestCase\)", re.M)
PYTEST_READ_MAX = 200


def test(folder: Path) -> ResolvedGate:
    """pytest if anything asks for it; else Django's runner or unittest if there are such tests; else pytest."""
    asks = _asks_for_pytest(folder)
    patterns = python_files(folder)
    found = [name for name in repo.files(folder) if TEST_FILE.search(name) or matches_any(patterns, name)]
    if not asks and found and "django" in repo.text(folder, "manage.py"):
        return _django(folder)
    if not asks and any(CASES.search(repo.text(folder, name)) for name in found[:PYTEST_READ_MAX]):
        return _unittest(folder, found)
    why = f"pytest, because of {asks}" if asks else "pytest; no tests were found to tell otherwise"
    return _pytest(folder, why, applies=bool(asks) and bool(found))


def lint(folder: Path) -> ResolvedGate:
    """The linter that is configured; ruff with its own rules if none is."""
    if _configures_ruff(folder):
        return _ruff("ruff, because it is configured")
    if repo.has(folder, ".flake8") or "[flake8" in repo.text(folder, "setup.cfg", "tox.ini"):
        return _module("python.lint", "flake8", "flake8", "flake8, because it is configured")
    if repo.has(folder, ".pylintrc", "pylintrc") or "[tool.pylint" in repo.text(folder, "pyproject.toml"):
        return _module("python.lint", "pylint", "pylint --recursive=y .", "pylint, because it is configured")
    return _ruff("no linter is configured: ruff with its own rules", applies=False)


def types(folder: Path) -> ResolvedGate:
    """The type checker that is configured; mypy if none is."""
    if repo.has(folder, "mypy.ini", ".mypy.ini") or "[mypy" in repo.text(folder, "setup.cfg") or _tool(folder, "mypy"):
        return _mypy(folder, "mypy, because it is configured")
    if repo.has(folder, "pyrightconfig.json") or _tool(folder, "pyright"):
        run = lines(require("python.types", "pyright", "install it where the gate runs"), "pyright")
        return by_exit_code(run, "pyright, because it is configured", "pyright")
    return _mypy(folder, "no type checker is configured: mypy with its own rules", applies=False)


def build(folder: Path) -> ResolvedGate:
    """Every Python file that is not a test, a document or an example must compile."""
    if not any(name.endswith(".py") for name in repo.files(folder)):
        return cannot_run("python.build", "there is no Python file here")
    run = f"python3 -I -m compileall -q -x '{NOT_OURS}' ."
    return by_exit_code(lines(_python("python.build"), run), "every Python file must compile", "python3")


def _pytest(folder: Path, why: str, *, applies: bool) -> ResolvedGate:
    options = "-q -p no:cacheprovider --continue-on-collection-errors --maxfail=0 -o junit_family=xunit1"
    arguments = f"{_own_names(folder)} {_pytest_configuration(folder)} {options}"
    run = f"""python3 -I -B -c {inline_program("run_pytest.py")} {arguments} --junitxml="$REPORT\""""
    line = lines(_python("python.test"), _sources_first(folder), run)
    return replace(by_report(Report.JUNIT, line, why, "python3", applies=applies), canary="pytest")


def _own_names(folder: Path) -> str:
    """The top-level names that Python may find in the folder: modules outside packages, and folders above modules."""
    names: set[str] = set()
    for path in (Path(name) for name in repo.files(folder) if name.endswith(".py")):
        names.update(above.name for above in path.parents)
        if not TEST_FILE.search(str(path)) and not (folder / path.parent / "__init__.py").exists():
            names.add(path.stem)
    return ",".join(sorted(name for name in names if name.isidentifier())) or "-"


def _pytest_configuration(folder: Path) -> str:
    """The file that pytest takes its configuration from, relative to `folder`; `-` if there is none."""
    above = ""
    for place in (folder, *folder.parents):
        for name, section in PYTEST_CONFIGURATIONS.items():
            if repo.has(place, name) and re.search(section, repo.text(place, name), re.M):
                return shlex.quote(above + name)
        if (place / ".git").exists():
            break
        above += "../"
    return "-"


def _django(folder: Path) -> ResolvedGate:
    run = f'python3 -I -B -c {inline_program("run_django.py")} {_own_names(folder)} "$REPORT"'
    line = lines(_python("python.test"), _sources_first(folder), run)
    return replace(by_report(Report.JUNIT, line, "manage.py test, Django's own runner", "python3"), canary="unittest")


def _unittest(folder: Path, found: list[str]) -> ResolvedGate:
    start = next((name for name in ("tests", "test") if any(path.startswith(f"{name}/") for path in found)), ".")
    top = "." if repo.has(folder, f"{start}/__init__.py") else start
    run = f'python3 -I -B -c {inline_program("run_unittest.py")} {_own_names(folder)} "$REPORT" {start} {top}'
    line = lines(_python("python.test"), _sources_first(folder), run)
    why = f"unittest, because the tests in {start} use it and nothing asks for pytest"
    return replace(by_report(Report.JUNIT, line, why, "python3"), canary="unittest")


def _asks_for_pytest(folder: Path) -> str:
    """The file that shows that the project uses pytest; empty if none does."""
    for name in ("pytest.ini", ".pytest.ini", "conftest.py", "tests/conftest.py", "test/conftest.py"):
        if repo.has(folder, name):
            return name
    for name in DECLARED:
        if re.search(r"\bpytest\b", repo.text(folder, name)):
            return name
    tests = [name for name in repo.files(folder) if TEST_FILE.search(name)][:PYTEST_READ_MAX]
    for name in tests:
        content = repo.text(folder, name)
        if re.search(r"^\s*(import|from) pytest\b", content, re.M) or re.search(r"^def test_", content, re.M):
            return name
    return ""


def _configures_ruff(folder: Path) -> bool:
    return bool(repo.has(folder, "ruff.toml", ".ruff.toml")) or _tool(folder, "ruff")


def _tool(folder: Path, name: str) -> bool:
    return bool(repo.at(repo.toml(folder, "pyproject.toml"), "tool", name))


def _ruff(why: str, *, applies: bool = True) -> ResolvedGate:
    # The project's own `fix = true` would correct the gate's checkout, and the judged tree would keep its errors.
    run = 'ruff check --no-fix --no-fix-only --no-cache --output-format sarif --output-file "$REPORT" .'
    line = lines(
        require("python.lint", "ruff", "install it, or let the pipeline's setup make a .venv that has it"), run
    )
    return by_report(Report.SARIF, line, why, "ruff", applies=applies)


def _mypy(folder: Path, why: str, *, applies: bool = True) -> ResolvedGate:
    target = "" if _names_mypy_targets(folder) else (" src" if repo.has(folder, "src") else " .")
    return _module("python.types", "mypy", f"mypy --cache-dir=/dev/null{target}", why, applies=applies)


def _names_mypy_targets(folder: Path) -> bool:
    if repo.at(repo.toml(folder, "pyproject.toml"), "tool", "mypy").keys() & {"files", "packages", "modules"}:
        return True
    sections = re.findall(
        r"^\[mypy\]$(.*?)(?=^\[|\Z)", repo.text(folder, "mypy.ini", ".mypy.ini", "setup.cfg"), re.M | re.S
    )
    return any(re.search(r"^(files|packages|modules)\s*=", section, re.M) for section in sections)


def _module(gate: str, module: str, command: str, why: str, *, applies: bool = True) -> ResolvedGate:
    """A tool that is run as a module, since the scripts of a copied environment point to where it was made; as a
    program if the environment does not have it."""
    run = lines(
        f"if python3 -I -B -c 'import {module}' 2>/dev/null; then python3 -I -B -m {command}; exit; fi",
        require(gate, module, "install it, or let the pipeline's setup make a .venv that has it"),
        command,
    )
    return by_exit_code(run, why, module, applies=applies)


def _python(gate: str) -> str:
    return require(gate, "python3", "install Python, or let the pipeline's setup make a .venv")


def _sources_first(folder: Path) -> str:
    place = "$PWD/src" if repo.has(folder, "src") and not repo.has(folder, "src/__init__.py") else "$PWD"
    return f'export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="{place}${{PYTHONPATH:+:$PYTHONPATH}}"'


GATES = MappingProxyType(
    {
        "python.build": build,
        "python.lint": lint,
        "python.types": types,
        "python.test": test,
    }
)
