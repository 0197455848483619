"""Which gates to write for what was found, and which files are the tests that agents may not change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from interlock.core.pipeline import Report
from interlock.spec.scaffold.found import Which
from interlock.spec.scaffold.setups import installs
from interlock.spec.sets import Ready, resolve
from interlock.spec.sets import folder as look

# What compiling would say again, the tests say as well: build and types are written where there are no tests.
WANTED = {
    "python": ("lint", "types", "test"),
    "node": ("lint", "types", "test"),
    "go": ("lint", "test"),
    "rust": ("lint", "test"),
    "java": ("lint", "test"),
}
TESTS = {
    "python": ("tests/**", "test/**", "**/test_*.py", "**/*_test.py", "**/conftest.py"),
    "node": ("test/**", "tests/**", "**/__tests__/**", "**/*.test.*", "**/*.spec.*"),
    "go": ("**/*_test.go", "**/testdata/**"),
    "rust": ("tests/**",),
    "java": ("**/src/test/**",),
}
CONFIGURATION = (
    "pytest.ini", "tox.ini", "ruff.toml", ".ruff.toml", ".flake8", "mypy.ini", ".pylintrc", "pyrightconfig.json",
    "eslint.config.js", "eslint.config.mjs", "eslint.config.cjs", "eslint.config.ts", ".eslintrc.json", ".eslintrc.js",
    ".eslintrc.cjs", "biome.json", "tsconfig.json", "vitest.config.ts", "vitest.config.js", "jest.config.js",
    "jest.config.ts", ".golangci.yml", ".golangci.yaml", "clippy.toml",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """A gate to write: its id in the stage and the ready gate that it uses."""

    id: str
    use: str
    ready: Ready


def choose(languages: tuple[str, ...], root: Path, which: Which) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
    """The gates, in the order they are judged, and notes on those that were left out."""
    chosen: list[Choice] = []
    notes: list[str] = []
    for language in languages:
        prefix = f"{language}-" if len(languages) > 1 else ""
        for member in (*WANTED[language], "build"):
            use = f"{language}.{member}"
            ready = resolve(use, root)
            absent = _absent(use, ready, root, which)
            if member == "build" and any(choice.use.startswith(f"{language}.") for choice in chosen):
                continue
            if ready.applies and absent:
                notes.append(f"{use} is left out: {absent} ({ready.why})")
            elif ready.applies:
                chosen.append(Choice(f"{prefix}{member}", use, ready))
    notes += [f"{choice.use}: {choice.ready.why}" for choice in chosen]
    return tuple(chosen), tuple(notes)


def reports_tests(choice: Choice) -> bool:
    """Whether the gate tells test from test, so that it can say which are new."""
    return choice.use.endswith(".test") and choice.ready.report is Report.JUNIT


def tests_of(languages: tuple[str, ...], root: Path) -> tuple[str, ...]:
    """Globs of the tests. A folder that is not there is left out, patterns for file names are kept."""
    globs = [glob for language in languages for glob in TESTS.get(language, ())]
    kept = [glob for glob in globs if glob.startswith("**/") or (root / glob.removesuffix("/**")).is_dir()]
    return tuple(dict.fromkeys(kept))


def configuration_of(root: Path) -> tuple[str, ...]:
    """Files that do nothing but set up what judges."""
    return tuple(name for name in CONFIGURATION if look.has(root, name))


def _absent(use: str, ready: Ready, root: Path, which: Which) -> str:
    """What keeps a gate from being green at once, in words. A linter or type checker of Python has to be one
    that setup installs: another version than the project's own says other things."""
    for tool in ready.tools:
        if use in ("python.lint", "python.types"):
            if not installs(tool, root):
                return f"{tool} is not among the packages that setup installs"
        elif not which(tool):
            return f"{tool} is not installed"
    return ""
