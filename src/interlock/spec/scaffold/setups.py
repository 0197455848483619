"""Setup recipes: how a checkout gets the project's packages, from its lock files and manifests.

Rule: nothing is written where the project needs nothing, and all that a recipe makes lies in the checkout.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from interlock.spec.scaffold.found import Which
from interlock.spec.sets import folder as look

REQUIREMENTS = (
    "requirements.txt", "requirements-dev.txt", "requirements_dev.txt", "dev-requirements.txt", "requirements-test.txt",
    "test-requirements.txt", "requirements/dev.txt", "requirements/test.txt", "requirements/tests.txt",
)  # fmt: skip
FOR_TESTS = ("test", "tests", "testing", "dev")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One item of `setup`. `note` is for the user, where there is something to know."""

    run: str
    key: tuple[str, ...]
    paths: tuple[str, ...]
    settle: str = ""
    note: str = ""


def recipe(language: str, root: Path, which: Which) -> Recipe | None:
    """How the packages of `language` come into a checkout of `root`; None where none are needed."""
    find = _RECIPES.get(language)
    return find(root, which) if find else None


def installs(tool: str, root: Path) -> bool:
    """Whether the Python recipe brings `tool` along, in the version that the project says."""
    content = look.toml(root, "pyproject.toml")
    project, groups = look.at(content, "project"), look.at(content, "dependency-groups")
    extras = look.at(project, "optional-dependencies")
    declared = [project.get("dependencies"), *(table.get(name) for table in (extras, groups) for name in FOR_TESTS)]
    files = look.text(root, "uv.lock", "poetry.lock", "Pipfile.lock", *REQUIREMENTS)
    return bool(re.search(rf"\b{re.escape(tool)}\b", f"{files} {declared}"))


def _python(root: Path, which: Which) -> Recipe | None:
    if look.has(root, "uv.lock"):
        note = "" if which("uv") else "there is a uv.lock, but no uv on PATH: setup needs it"
        run = "uv sync --frozen"
        return Recipe(run, ("uv.lock", "pyproject.toml"), (".venv",), f"{run} --offline", note)
    if look.has(root, "poetry.lock") and which("poetry"):
        poetry = "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install"
        return Recipe(poetry, ("poetry.lock", "pyproject.toml"), (".venv",), f"{poetry} --only-root")
    if look.has(root, "Pipfile.lock") and which("pipenv"):
        return Recipe("PIPENV_VENV_IN_PROJECT=1 pipenv sync --dev", ("Pipfile.lock",), (".venv",))
    return _pip(root, which)


def _pip(root: Path, which: Which) -> Recipe | None:
    """A virtual environment. The project itself is installed for its metadata and entry points; its sources
    come from the checkout, which ready gates put first on the module path."""
    needed = _pip_arguments(root)
    if not needed and which("pytest"):
        return None
    if not needed and not _mentions_pytest(root):
        return None
    groups = any(word.startswith("--group") for word in needed)
    upgrade = "\n.venv/bin/python3 -m pip install -q -U pip" if groups else ""
    install = " ".join(("pytest", *needed)) if _mentions_pytest(root) else " ".join(needed)
    key = tuple(name for name in ("pyproject.toml", "setup.py", "setup.cfg", *REQUIREMENTS) if look.has(root, name))
    return Recipe(f"python3 -m venv .venv{upgrade}\n.venv/bin/python3 -m pip install -q {install}", key, (".venv",))


def _pip_arguments(root: Path) -> list[str]:
    content = look.toml(root, "pyproject.toml")
    project, groups = look.at(content, "project"), look.at(content, "dependency-groups")
    extras = [name for name in FOR_TESTS if name in look.at(project, "optional-dependencies")]
    arguments = [f"-r {name}" for name in REQUIREMENTS if look.text(root, name).strip()]
    if extras:
        arguments.append(f"'.[{','.join(extras)}]'")
    elif _has_dependencies(root):
        arguments.append(".")
    return arguments + [f"--group {name}" for name in FOR_TESTS if groups.get(name)]


def _has_dependencies(root: Path) -> bool:
    content = look.toml(root, "pyproject.toml")
    project = look.at(content, "project")
    dynamic = project.get("dynamic")
    if project.get("dependencies") or "dependencies" in look.at(content, "tool", "poetry"):
        return True
    from_elsewhere = isinstance(dynamic, list) and "dependencies" in dynamic
    return from_elsewhere or "install_requires" in look.text(root, "setup.py", "setup.cfg")


def _mentions_pytest(root: Path) -> bool:
    declared = look.text(root, "pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini", "conftest.py", *REQUIREMENTS)
    tests = [name for name in look.files(root) if re.search(r"(^|/)(test_[^/]*|conftest)\.py$", name)][:50]
    return "pytest" in declared or any(
        re.search(r"\bpytest\b|^def test_", look.text(root, name), re.M) for name in tests
    )


def _node(root: Path, which: Which) -> Recipe | None:
    package = look.json_object(root, "package.json")
    if not any(package.get(kind) for kind in ("dependencies", "devDependencies", "workspaces")):
        return None
    for lock, run in (
        ("pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
        ("yarn.lock", f"yarn install {'--immutable' if look.has(root, '.yarnrc.yml') else '--frozen-lockfile'}"),
        ("bun.lock", "bun install --frozen-lockfile"),
        ("bun.lockb", "bun install --frozen-lockfile"),
        ("package-lock.json", "npm ci --no-audit --no-fund"),
        ("npm-shrinkwrap.json", "npm ci --no-audit --no-fund"),
    ):
        if look.has(root, lock):
            program = run.split()[0]
            note = "" if which(program) else f"there is a {lock}, but no {program} on PATH: setup needs it"
            return Recipe(run, (lock, "package.json"), ("node_modules",), note=note)
    note = "package.json has no lock file: its packages may differ from one day to the next"
    return Recipe("npm install --no-package-lock --no-audit --no-fund", ("package.json",), ("node_modules",), note=note)


def _go(root: Path, _which: Which) -> Recipe | None:
    if look.has(root, "go.work") and not look.has(root, "vendor"):
        return Recipe("go work vendor", ("go.work",), ("vendor",))
    if look.has(root, "go.sum") and not look.has(root, "vendor"):
        return Recipe("go mod vendor", ("go.mod", "go.sum"), ("vendor",))
    return None


def _rust(root: Path, _which: Which) -> Recipe | None:
    locked = bool(look.has(root, "Cargo.lock"))
    content = look.text(root, "Cargo.lock" if locked else "Cargo.toml")
    if not re.search(r"^source = " if locked else r"dependencies", content, re.M):
        return None
    fetch = 'CARGO_HOME="$PWD/.cargo-home" cargo fetch'
    if locked:
        return Recipe(f"{fetch} --locked", ("Cargo.lock", "Cargo.toml"), (".cargo-home",))
    return Recipe(fetch, ("Cargo.toml",), (".cargo-home", "Cargo.lock"))


_RECIPES: dict[str, Callable[[Path, Which], Recipe | None]] = {
    "python": _python,
    "node": _node,
    "go": _go,
    "rust": _rust,
}
