"""Judge files: everything in a repository that decides a verdict and is not the work. Pure.

Rule: one definition, used alike by detection, `init`, protection, gates and reports. Files are known by name, at any
depth, whether or not they exist yet. Globs are those of `globs`; letter case is no way around them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from interlock.core.pipeline import FOLDER
from interlock.text.globs import matches_any

_SCRIPTS = ("[jt]s", "[cm][jt]s", "[jt]sx")  # endings of JavaScript and TypeScript


def _scripts(*stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{ending}" for stem in stems for ending in _SCRIPTS)


@dataclass(frozen=True, slots=True)
class Language:
    """`named` are test files by their own name, `folders` all below a folder of tests, data included; `sources` are the
    endings of code. `configuration` steers what tests, linters, type checkers and the interpreter itself do."""

    named: tuple[str, ...]
    folders: tuple[str, ...]
    configuration: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        return (*self.folders, *self.named)


_TEST_FOLDERS = ("**/test/**", "**/tests/**")
PYTHON = Language(
    named=("test_*.py", "*_test.py", "tests.py", "test.py"),
    folders=(*_TEST_FOLDERS, "**/testdata/**"),
    configuration=(
        "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "tox.toml", "noxfile.py",
        "hatch.toml", "ruff.toml", ".ruff.toml", ".flake8", "mypy.ini", ".mypy.ini", ".pylintrc", "pylintrc",
        "pylintrc.toml", ".pylintrc.toml", "pyrightconfig.json", "pyrefly.toml", "ty.toml", "pytype.cfg", ".coveragerc",
        ".coveragerc.toml", ".isort.cfg", ".pydocstyle", ".pydocstyle.ini", ".bandit", ".style.yapf", ".yapfignore",
        ".pycodestyle", ".importlinter", ".pyre_configuration", ".python-version", "uv.toml", "pip.conf", "pyvenv.cfg",
        "setup.py", "hatch_build.py", "pdm_build.py", "pytest.py", "_pytest.py", "unittest.py", "mypy.py", "ruff.py",
        "flake8.py", "pylint.py", "tox.py", "nox.py", "sitecustomize.py", "usercustomize.py", "*.pth", "*._pth",
        "*.egg-link", "**/*.dist-info/**",
        "**/*.egg-info/**", "**/site-packages/**", "**/__pycache__/**", "*.py[co]",
    ),
    sources=("*.py", "*.pyi", "*.pyx", "*.so", "*.pyd"),
)  # fmt: skip
NODE = Language(
    named=(
        *_scripts("test", "tests", "spec", "*.test", "*.tests", "*.spec", "*-test", "*-tests", "*-spec", "*_test"),
        *_scripts("*_tests", "*_spec", "test-*", "*.test-d", "*.bench", "*.cy", "*.e2e"),
    ),
    folders=(
        *_TEST_FOLDERS, "**/__tests__/**", "**/__mocks__/**", "**/__snapshots__/**", "**/__fixtures__/**",
        "**/cypress/**", "**/spec/fixtures/**", "**/specs/fixtures/**", "**/e2e/fixtures/**",
        *_scripts("**/spec/**/*", "**/specs/**/*", "**/e2e/**/*"), "*.snap",
    ),
    configuration=(
        *_scripts("vite.config", "vitest.*", "vitest", "jest.*", "jest", "babel.config", "ava.config", "nyc.config"),
        *_scripts("karma.conf", "playwright*.config", "cypress.config", "wdio.conf", "web-test-runner.config"),
        *_scripts("eslint.config", ".eslintrc", "prettier.config", ".prettierrc", "stylelint.config", "xo.config"),
        *_scripts("test-setup", "setup-tests", "setupTests", "jasmine.*", "gulpfile", "Gruntfile", "tap.config"),
        "vite.config.*", "vitest.config.*", "vitest.workspace.*", "jest.config.*", "babel.config.*", ".babelrc*",
        "binding.gyp", "*.gypi", ".swcrc", ".mocharc*", "mocha.opts", ".nycrc*", ".c8rc*", ".taprc*",
        "jasmine.json", ".jasmine.json",
        ".eslintrc*", ".eslintignore", ".eslint.config.*", "biome.json", "biome.jsonc", ".biome.json*", ".oxlintrc*",
        "oxlint.json", "tslint.json", ".jshintrc", ".jshintignore", ".jscsrc", ".prettierrc*", ".prettierignore",
        ".stylelintrc*", ".xo-config*", "tsconfig*.json", "tsconfig*.jsonc", "jsconfig*.json", ".npmrc", ".yarnrc",
        ".yarnrc.yml", "**/.yarn/**", ".pnpmfile.*", "pnpm-workspace.yaml", ".pnp.*", "bunfig.toml", "deno.json*",
        "node.config.json", ".node-version", ".nvmrc", ".ncurc*", ".browserslistrc", "turbo.json", "nx.json",
        "lerna.json", "**/node_modules/**",
    ),
    sources=_scripts("*"),
)  # fmt: skip
GO = Language(
    named=("*_test.go",),
    folders=("**/testdata/**",),
    configuration=(
        ".golangci.*", "staticcheck.conf", "go.work", "go.work.sum", "go.env", "/vendor/**", ".testcoverage.yml",
        "revive.toml",
    ),
    sources=("*.go", "*.s"),
)  # fmt: skip
RUST = Language(
    named=("tests.rs", "test.rs", "*_test.rs", "*_tests.rs"),
    folders=("**/tests/**", "**/benches/**"),
    configuration=(
        "clippy.toml", ".clippy.toml", "rustfmt.toml", ".rustfmt.toml", "rust-toolchain", "rust-toolchain.toml",
        "build.rs", "**/.cargo/**", "**/.config/nextest.toml", "deny.toml", "**/.cargo-home/**",
    ),
    sources=("*.rs",),
)  # fmt: skip
JAVA = Language(
    named=("*Test.java", "*Tests.java", "*TestCase.java", "*IT.java", "Test*.java", "*Test.kt", "*Tests.kt", "*Spec.kt",
           "*Test.groovy", "*Spec.groovy", "*Test.scala", "*Spec.scala"),
    folders=(
        "**/src/test/**", "**/src/integrationTest/**", "**/src/functionalTest/**", "**/src/androidTest/**",
        "**/src/it/**", "**/src/testFixtures/**",
    ),
    configuration=(
        "checkstyle*.xml", "**/config/checkstyle/**", "pmd*.xml", "**/config/pmd/**", "spotbugs*.xml",
        "findbugs*.xml", "**/config/spotbugs/**", "**/config/detekt/**", "detekt*.yml", ".editorconfig", "**/.mvn/**",
        "mvnw", "mvnw.cmd", "gradlew", "gradlew.bat", "**/gradle/wrapper/**", "gradle.properties", "*.gradle",
        "*.gradle.kts", "**/buildSrc/**", "junit-platform.properties", "testng*.xml", "lombok.config",
    ),
    sources=("*.java", "*.kt", "*.groovy", "*.scala"),
)  # fmt: skip

LANGUAGES = MappingProxyType({"python": PYTHON, "node": NODE, "go": GO, "rust": RUST, "java": JAVA})

# Code that no linter here knows, and archives of code.
_SCRIPTS_AND_ARCHIVES = (
    "*.sh", "*.bash", "*.zsh", "*.ps1", "*.bat", "*.cmd", "*.pl", "*.pm", "*.rb", "*.php", "*.lua", "*.tcl", "*.awk",
    "*.pyw", "*.pxd", "*.pxi", "*.c", "*.cc", "*.cpp", "*.cxx", "*.cu", "*.h", "*.hh", "*.hpp", "*.m", "*.f", "*.f90",
    "*.cs", "*.swift", "*.vue", "*.svelte", "*.coffee", "*.cmake", "CMakeLists.txt", "meson.build", "meson.options",
    "meson_options.txt", "configure", "*.bzl", "*.pkl", "*.pickle", "*.so.*", "*.dylib", "*.dll", "*.exe", "*.jar",
    "*.whl", "*.egg", "*.pyz", "*.zip", "*.tar", "*.tar.*", "*.tgz",
)  # fmt: skip
# What a build or a hook starts, whatever the language.
BUILD = (
    "Makefile", "GNUmakefile", "makefile", "*.mk", "justfile", ".justfile", "Taskfile.y*ml", "Rakefile", ".envrc",
    ".tool-versions", "mise.toml", ".mise.toml", "codecov.y*ml",
    ".codecov.y*ml", "sonar-project.properties",
)  # fmt: skip
# What agent programs, and much else, take their environment from; not what only shows people how one looks.
ENVIRONMENT = (
    ".env", ".env.*",
    *(f"!.env.{part}{kind}" for part in ("", "*.") for kind in ("example", "sample", "template", "dist", "defaults")),
)  # fmt: skip
# What agent programs obey as text.
INSTRUCTIONS = (
    "AGENTS.md", "AGENTS.override.md", "AGENT.md", "CLAUDE.md", "CLAUDE.local.md", "CONTEXT.md", "GEMINI.md", "QWEN.md",
    "CRUSH.md", "CRUSH.local.md", "WARP.md", "CONVENTIONS.md", ".goosehints", ".goosehints.local", ".cursorrules",
    ".windsurfrules", ".clinerules", ".roorules*", ".rules", "**/.github/copilot-instructions.md",
)  # fmt: skip
# Folders and files of their settings, plugins, skills, hooks, and servers to start.
AGENT_FOLDERS = (
    ".agents", ".aider*", ".amazonq", ".amp", ".augment", ".claude", ".claude-plugin", ".clinerules", ".codex",
    ".continue", ".copilot", ".crush", ".cursor", ".factory", ".gemini", ".goose", ".junie", ".kiro", ".opencode",
    ".qwen", ".roo", ".windsurf", ".github/agents", ".github/hooks", ".github/instructions", ".github/prompts",
    ".github/skills",
)  # fmt: skip
AGENT_SETTINGS = (
    "opencode.json*", ".crush.json", "crush.json", ".aider*", ".mcp.json", "mcp.json",
)  # fmt: skip
# What keeps files out of what their tools search and read.
AGENT_IGNORES = (
    ".ignore", ".rgignore", ".agignore", ".fdignore", ".agentignore", ".agentsignore", ".aiignore", ".aiexclude",
    ".llmignore", ".aiderignore", ".ampignore", ".augmentignore", ".claudeignore", ".clineignore", ".codeiumignore",
    ".codexignore", ".continueignore", ".copilotignore", ".crushignore", ".cursorignore", ".cursorindexingignore",
    ".geminiignore", ".gooseignore", ".junieignore", ".kilocodeignore", ".kiroignore", ".opencodeignore", ".qwenignore",
    ".rooignore", ".windsurfignore",
)  # fmt: skip
# All that agent programs read or obey.
AGENT_FILES = (
    *ENVIRONMENT,
    *INSTRUCTIONS,
    *AGENT_SETTINGS,
    *AGENT_IGNORES,
    *(f"**/{folder}/**" for folder in AGENT_FOLDERS),
)

# Dependencies and tables that steer judges lie side by side in these: judged table by table, see `gates.manifests`.
MIXED = ("pyproject.toml", "setup.cfg", "package.json", "Cargo.toml", "pom.xml")

TESTS = tuple(dict.fromkeys(glob for language in LANGUAGES.values() for glob in language.tests))
CONFIGURATION = (
    *AGENT_FILES,  # first, since some of it takes back what came before
    *dict.fromkeys(glob for language in LANGUAGES.values() for glob in language.configuration),
    *BUILD,
)
# What hosts, hooks and git itself do: a candidate that edits one of these could do harm after it was accepted.
_SERVICES = (
    ".gitattributes", ".gitmodules", ".lfsconfig", "/.githooks/**", "/.husky/**", "lefthook.y*ml", ".lintstagedrc*",
    ".pre-commit-config.yaml", "/.pre-commit-hooks.yaml", "/.github/workflows/**", "/.github/actions/**",
    "/.gitlab-ci.yml", "/.gitlab/ci/**", "/.forgejo/workflows/**", "/.gitea/workflows/**", "/.circleci/**",
    "/.buildkite/**", "/.woodpecker/**", "/.woodpecker.yml", "/.drone.yml", "/.travis.yml", "/Jenkinsfile",
    "/azure-pipelines.yml", "/bitbucket-pipelines.yml", "/appveyor.yml", "/.cirrus.yml",
)  # fmt: skip
RESERVED = f"{FOLDER}/**"  # not even a stage that `authors` it may change it, except for its own artifacts
# What no stage may change unless it `authors` it.
PROTECTED = (*CONFIGURATION, *TESTS, RESERVED, "/interlock.yaml", "/interlock.yml", *_SERVICES)
_NAMED = tuple(dict.fromkeys(glob for language in LANGUAGES.values() for glob in language.named))
_MANIFESTS = frozenset(name.casefold() for name in MIXED)
_BUILT = ("*.node", "*.wasm")
_SOURCES = (*dict.fromkeys(glob for language in LANGUAGES.values() for glob in language.sources), *_BUILT)


def matches_in_any_case(globs: Iterable[str], path: str) -> bool:
    """As `matches_any`, but in any letter case: some file systems take `makefile` for `Makefile`. Where only its letter
    case tells a name, as `*Test.java` from `Contest.java`, it counts."""
    known = tuple(globs)
    return matches_any(known, path) or matches_any(_folded(known), path.casefold())


@lru_cache(maxsize=256)
def _folded(globs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(glob.casefold() for glob in globs if "*" not in glob.removesuffix("/**") or glob == glob.lower())


def is_test(path: str, language: str = "") -> bool:
    """Whether the file is a test or test data, of one language or of any."""
    globs = LANGUAGES[language].tests if language in LANGUAGES else TESTS
    return matches_in_any_case(globs, path)


def is_configuration(path: str) -> bool:
    """Whether the file steers a judge, a build or an agent, of any language."""
    return matches_in_any_case(CONFIGURATION, path)


def is_source(path: str) -> bool:
    """Whether the file is code of a language that has linters and type checkers here."""
    return matches_in_any_case(_SOURCES, path)


def is_code(path: str) -> bool:
    """Whether the file could run, or steer what runs, where something is built or installed: code of any language, and
    configuration. A manifest that lists dependencies is none."""
    if is_manifest(path):
        return False
    return is_source(path) or is_configuration(path) or matches_in_any_case(_SCRIPTS_AND_ARCHIVES, path)


def is_manifest(path: str) -> bool:
    """Whether the file lists dependencies, beside what else it steers."""
    return path.rpartition("/")[2].casefold() in _MANIFESTS


def may_be_added(path: str) -> bool:
    """Whether a stage that only `adds` tests may bring this file: a test, or data. A Python module beside the tests
    could stand in for the product (the folder of a test is first on its import path), and a configuration could change
    what other tests say. In Node and Rust what lies in a folder of tests is a test by that."""
    if is_configuration(path) or matches_in_any_case(MIXED, path):
        return False
    return is_test_code(path) or not matches_in_any_case(_SOURCES, path)


def is_test_code(path: str) -> bool:
    """Whether the file holds tests itself: by its own name, or in Node and Rust as code in a folder of tests."""
    by_folder = any(
        matches_any(language.folders, path) and matches_any(language.sources, path) for language in (NODE, RUST)
    )
    return by_folder or matches_in_any_case(_NAMED, path)


def tests_of(use: str) -> tuple[str, ...]:
    """Globs of the tests that a ready gate such as python.test judges by; those of every language for another name."""
    language = LANGUAGES.get(use.partition(".")[0])
    return language.tests if language else TESTS
