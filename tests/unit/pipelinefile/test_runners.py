"""What a project's own configuration says are tests is protected like what is known by name."""

from pathlib import Path

import pytest

from interlock.core.pipeline import CommandLine, Gate, GateKind
from interlock.pipelinefile.protected import files_run_by
from interlock.pipelinefile.runners import configured_tests, loaded_files


@pytest.mark.parametrize(
    ("files", "globs"),
    [
        ({"pytest.ini": "[pytest]\npython_files = check_*.py\n"}, ["check_*.py"]),
        ({"pytest.ini": "[pytest]\npython_files = *.py\n"}, []),
        ({"pyproject.toml": '[tool.pytest.ini_options]\npython_files = ["verify_*.py", "test_*.py"]\n'},
         ["verify_*.py", "test_*.py"]),
        ({"setup.cfg": "[tool:pytest]\ntestpaths = quality\n", "quality/test_a.py": "", "quality/help.py": ""},
         ["/quality/**"]),
        ({"tox.ini": "[pytest]\ntestpaths = src tests .\n", "src/a.py": "", "src/b.py": "", "src/test_a.py": ""}, []),
        ({"package.json": '{"scripts": {"test": "c8 mocha --bail suite/ && node checks/all.js"}}', "suite/a.js": "",
          "checks/all.js": ""}, ["/suite/**", "/checks/all.js"]),
        ({"package.json": '{"scripts": {"test": "eslint src && tape \'quality/*.js\'"}}', "src/a.js": ""},
         ["/quality/*.js"]),
        ({"package.json": '{"jest": {"testMatch": ["<rootDir>/checks/**/*.{js,ts}", "!**/x", "**/*.js"]}}'},
         ["/checks/**/*.js", "/checks/**/*.ts"]),
        ({"package.json": '{"ava": {"files": ["quality/**"]}}'}, ["/quality/**"]),
        ({"package.json": '{"scripts": {"test": "node ."}}'}, []),
        ({".mocharc.yml": "spec: checks/**/*.js\n"}, ["/checks/**/*.js"]),
        ({".mocharc.yml": "spec: [", ".mocharc.json": '{"spec": ["no"]}'}, []),
        ({".mocharc.jsonc": '{// ours\n"spec": ["checks", "more/*.js"]}', "checks/a.js": ""},
         ["/checks/**", "/more/*.js"]),
        ({".mocharc.js": "module.exports = { spec: 'checks/a.js' };\n", "checks/a.js": ""}, ["/checks/a.js"]),
        ({"jest.config.js": "module.exports = { testMatch: ['<rootDir>/checks/*.js'] };\n"}, ["/checks/*.js"]),
        ({"vitest.config.js": "export default defineConfig({ test: { include: ['checks/**/*.js'], "
                              "coverage: { include: ['src/**/*.js', 'app/*.js'] } } });\n"}, ["/checks/**/*.js"]),
        ({"vitest.config.js": "export default { test: { include: ['src/**/*.js'] } };\n"}, []),
        ({"Makefile": "test:\n\t@python3 -m unittest discover -s checks -p \"c_*.py\"\n"}, ["/checks/**/c_*.py"]),
        ({"Makefile": "test:\n\tpython -m unittest discover checks '*.py' && mocha --require=./b.js a.js\n", "a.js": "",
          "b.js": ""}, ["/checks/**", "/b.js", "/a.js"]),
        ({"Makefile": "test:\n\tpython3 -m unittest discover\n\tpython3 -m unittest discover -s src -p *.py\n"}, []),
        ({"Makefile": "run:\n\tnode server.js\nbuild:\n\tbun run make.js\ntest:\n\tnode --test more/a.js\n",
          "server.js": "", "make.js": "", "more/a.js": ""}, ["/more/a.js"]),
        ({"pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["checks"]\n',
          "checks/a.py": "def test_a(): pass\n"}, ["/checks/**"]),
        ({"Cargo.toml": '[[test]]\nname = "x"\npath = "checks/x.rs"\n', "a/Cargo.toml": '[[test]]\npath = "y.rs"\n'},
         ["/checks/x.rs", "/a/y.rs"]),
        ({"Cargo.toml": "[package]\n",
          "src/lib.rs": "#[cfg(test)]\nmod add_checks;\nmod add;\n#[cfg(not(test))]\nmod b;\n",
          "src/add_checks.rs": "", "src/add_checks/more.rs": "", "src/add.rs": "#[cfg(all(unix, test))]\nmod c;\n",
          "src/add/c.rs": "", "src/b.rs": ""}, ["/src/add/c.rs", "/src/add_checks.rs", "/src/add_checks/**"]),
        ({"Cargo.toml": "[package]\n", "src/main.rs": '#[path = "odd/place.rs"]\n#[cfg(test)]\npub(crate) mod x;\n',
          "src/odd/place.rs": "", "src/x.rs": ""}, ["/src/odd/place.rs"]),
        ({"package.json": '{"scripts": 1, "jest": []}', "setup.cfg": "no section\n", "pyproject.toml": "["}, []),
    ],
)  # fmt: skip
def test_the_tests_that_a_configuration_names(tmp_path: Path, files: dict[str, str], globs: list[str]):
    lay(tmp_path, files)
    assert list(configured_tests(tmp_path)) == globs


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        ({"vitest.config.ts": "import { join } from 'node:path';\n"
                              "export default defineConfig({ plugins: [vue()], test: { "
                              "// setupFiles: ['src/app.js'],\n setupFiles: ['./support/a.js'], "
                              "globalSetup: join(__dirname, 'support', 'b'), alias: { x: './src/x.js' } } });\n",
          "support/a.js": "", "support/b.ts": "", "src/app.js": "", "src/x.js": ""},
         ["support/a.js", "support/b.ts"]),
        ({"jest.config.cjs": "module.exports = { setupFilesAfterEnv: ['<rootDir>/support/a.js'], "
                             "testEnvironment: 'node' };", "support/a.js": ""}, ["support/a.js"]),
        ({"package.json": '{"jest": {"transform": {"^.+$": "<rootDir>/support/t.js"}, '
                          '"moduleNameMapper": {"a": "./b.js"}}, "mocha": {"require": ["./support/m", "chai"]}}',
          "support/t.js": "", "support/m.js": "", "b.js": ""}, ["support/t.js", "support/m.js"]),
        ({".mocharc.yaml": "require: [support/m.js]\nfile: first.js\n", "support/m.js": "", "first.js": ""},
         ["support/m.js", "first.js"]),
        ({"tests/conftest.py": 'pytest_plugins = ["app.testing", "pytester"]\n', "src/app/testing.py": ""},
         ["src/app/testing.py"]),
        ({"conftest.py": 'pytest_plugins = "app.plugin"\n', "app/plugin.py": "",
          "pyproject.toml": '[project.entry-points.pytest11]\napp = "app.plugin"\n'}, []),
        ({"pytest.ini": "[pytest]\naddopts = -q -p tools.plugin\n", "tools/plugin.py": ""}, ["tools/plugin.py"]),
    ],
)  # fmt: skip
def test_what_a_runner_loads_beside_the_tests(tmp_path: Path, files: dict[str, str], paths: list[str]):
    lay(tmp_path, files)
    assert list(loaded_files(tmp_path)) == paths


def lay(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def gate(command: str) -> Gate:
    return Gate("g", GateKind.RUN, CommandLine(shell=command))


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("bash checks/lint.sh", {"checks/lint.sh", "checks/lib.sh"}),
        ("make test", {"run-checks.sh", "checks/lib.sh"}),
        ("sh -c 'bash checks/lint.sh'", {"checks/lint.sh", "checks/lib.sh"}),
        ("npm test", {"checks/all.py"}),
        ("FOO=1 ./run-checks.sh && python3 checks/all.py", {"run-checks.sh", "checks/lib.sh", "checks/all.py"}),
        ("if true; then ! bash checks/lint.sh; fi", {"checks/lint.sh", "checks/lib.sh"}),
        ("python3 -m app app.py", set()),
        ("node --check index.js", set()),
        ("ruff check app.py", set()),
        ("node test.js", {"test.js"}),  # and not what it loads
    ],
)
def test_what_a_gate_starts_and_what_that_starts(tmp_path: Path, command: str, paths: set[str]):
    files = {
        "checks/lint.sh": ". checks/lib.sh\n", "checks/lib.sh": "true\n", "checks/all.py": "", "app.py": "",
        "index.js": "", "test.js": "const { add } = require('./index.js');\n",
        "Makefile": "test:\n\t@./run-checks.sh\n", "run-checks.sh": "source checks/lib.sh\n",
        "package.json": '{"scripts": {"test": "python3 checks/all.py"}}',
    }  # fmt: skip
    lay(tmp_path, files)
    assert set(files_run_by(gate(command), tmp_path)) == paths
