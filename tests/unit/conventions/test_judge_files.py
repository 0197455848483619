"""What is a test, what steers a judge, and what is neither."""

import pytest

from interlock.conventions import judge_files
from interlock.conventions.judge_files import is_code, is_configuration, is_test, may_be_added

TESTS = """
test.js foo-test.js foo_spec.js index.test-d.ts blog/tests.py src/test_x.py src/pkg/tests/data/deep/x.json
test/a.js lib/__tests__/a.js a.spec.tsx a_test.go pkg/testdata/x.txt src/test/java/A.java FooTest.java
crate/tests/it.rs src/tests.rs spec/a.js tests/conftest.py __snapshots__/a.snap
spec/fixtures/a.json e2e/fixtures/deep/a.txt lib/__mocks__/a.json lib/__fixtures__/a.json
"""
CONFIGURATION = """
pytest.ini sub/pytest.ini ruff.toml mypy.ini vite.config.js vitest.config.mts jest.config.cjs .mocharc.yml
.eslintrc.yml .eslintignore biome.jsonc tsconfig.json packages/a/tsconfig.build.json babel.config.js .npmrc
noxfile.py Makefile setup.py binding.gyp build.rs pytest.py makefile MAKEFILE sitecustomize.py
usercustomize.py x.pth foo.dist-info/entry_points.txt src/foo.egg-info/PKG-INFO src/conftest.py Conftest.py
AGENTS.md sub/CLAUDE.md GEMINI.md .claude/settings.json .CLAUDE/settings.json .codex/config.toml .goosehints
.gemini/settings.json .aider.conf.yml .cursor/rules/a.mdc .opencode/plugin/a.js .mcp.json tox.ini .coveragerc
src/__pycache__/a.cpython-311.pyc node_modules/a/index.js lib/node_modules/a/index.js .cargo/config.toml
rust-toolchain .golangci.yml go.work vendor/a/a.go .mvn/jvm.config mvnw build.gradle .python-version .env
.nvmrc .yarnrc.yml .env.production sub/.env.local .ENV.prod .env.staging.local .crush/x .qwen/settings.json
.github/copilot-instructions.md .github/hooks/a.json sub/.mcp.json CLAUDE.local.md .agents/skills/a/SKILL.md
CONTEXT.md src/CONTEXT.md CRUSH.local.md
"""
NEITHER = """
latest.py contest.js inspect.py attest.ts src/protest/x.py README.md docs/spec.md src/calc.py Contest.java
testing.py src/app.config.js lib/environment.py api/openapi.spec.yaml pyproject.toml package.json
Cargo.toml src/main.rs src/vendor/a.py fixtures.py go.mod src/agents.py claude.py data/example.json
.env.example sub/.env.sample .env.template .env.production.example .env.local.dist docs/environment.md environment/x.py
"""
CODE = "src/a.py a.mjs b.c scripts/x.sh CMakeLists.txt vendor/x.whl Makefile a.pth .npmrc X.PY"
NO_CODE = "README.md LICENSE data/a.json pyproject.toml sub/package.json go.mod uv.lock requirements.txt"


@pytest.mark.parametrize("path", TESTS.split())
def test_tests_are_known_by_name_at_any_depth(path: str):
    assert is_test(path)


@pytest.mark.parametrize("path", CONFIGURATION.split())
def test_what_steers_a_judge_is_known_by_name_at_any_depth(path: str):
    assert is_configuration(path)


@pytest.mark.parametrize("path", NEITHER.split())
def test_the_work_itself_is_neither(path: str):
    assert not is_test(path)
    assert not is_configuration(path)


@pytest.mark.parametrize("path", CODE.split())
def test_what_may_run_where_something_is_built_or_installed(path: str):
    assert is_code(path)


@pytest.mark.parametrize("path", NO_CODE.split())
def test_manifests_and_data_do_not_run(path: str):
    assert not is_code(path)


def test_each_language_has_tests_of_its_own():
    assert is_test("a_test.go", "go")
    assert not is_test("a_test.go", "python")
    assert "*_test.go" in judge_files.tests_of("go.test")
    assert {"*_test.go", "test_*.py"} <= set(judge_files.tests_of("make test"))


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("tests/test_a.py", True),
        ("tests/data/a.json", True),
        ("tests/golden.txt", True),
        ("src/a.spec.ts", True),
        ("test/plain.js", True),
        ("crate/tests/it.rs", True),
        ("lib/test/_speedups.node", False),
        ("tests/calc.py", False),  # would stand in for a module of the product
        ("tests/__init__.py", False),
        ("tests/helper.js", True),
        ("tests/conftest.py", False),
        ("tests/pytest.ini", False),
        ("tests/package.json", False),
        ("tests/pyproject.toml", False),
        ("tests/_speedups.so", False),
    ],
)
def test_only_tests_by_their_own_name_and_data_may_be_added(path: str, may: bool):
    assert may_be_added(path) is may
