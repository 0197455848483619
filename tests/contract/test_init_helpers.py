"""What `init` finds that tests use and nothing else does: protected, and never the product."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.sets.projects import NODE, PYTEST, lay

from interlock.pipelinefile import load_pipeline
from interlock.pipelinefile.scaffold import plan_files, write

PY = {"pyproject.toml": '[project]\nname = "app"\n', "app/__init__.py": "def add(a, b):\n    return a + b\n"}


def protected(root: Path, files: dict[str, str]) -> list[str]:
    """What `init` lists to be protected."""
    pages = dict(plan_files(lay(root, files), {}, lambda name: name).files)
    block = pages[".interlock/common.yaml"].partition("\nprotect:\n")[2].partition("\nsetup:")[0]
    lines = [line.strip() for line in block.splitlines()]
    return [line.removeprefix("- ").strip('"') for line in lines if line.startswith("- ")]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tests/test_a.py": "from testing.helpers import x\nimport app\n", "testing/helpers.py": "x = 1\n"}, ["testing/**"]),
        ({"tests/test_a.py": "import support\n", "support.py": "from fakes import y\n", "fakes.py": ""}, ["/fakes.py", "/support.py"]),
        ({"tests/conftest.py": "pytest_plugins = ['support.plugin']\n", "tests/test_a.py": "", "support/plugin.py": ""}, ["support/**"]),
        ({"pytest.ini": "[pytest]\naddopts = -q -p helpers.plugin\n", "tests/test_a.py": "", "helpers/plugin.py": ""}, ["helpers/**"]),
        ({"tests/test_a.py": "(Path(__file__).parents[1] / 'fixtures' / 'a.json').read_text()\n", "fixtures/a.json": "{}"}, ["fixtures/**"]),
        ({"tests/test_a.py": "os.path.join(ROOT, 'data', 'golden', 'a.txt')\n", "data/golden/a.txt": "", "data/b.txt": ""}, ["data/golden/**"]),
        ({"tests/test_a.py": "open('data/sums.json')\n", "data/sums.json": "[]", "data/other.json": ""}, ["data/sums.json"]),
        ({"tests/test_a.py": "from ..support import x\n", "tests/__init__.py": "", "support.py": "x = 1\n"}, ["/support.py"]),
    ],
)  # fmt: skip
def test_helpers_and_data_of_python(tmp_path: Path, files: dict[str, str], expected: list[str]):
    assert protected(tmp_path, {**PY, **files}) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"test/a.test.js": "import { x } from '../mock-server.js'\n", "mock-server.js": "export const x = 1\n"}, ["/mock-server.js"]),
        ({"test/a.test.ts": "import { x } from '../src/testing/render.js'\n", "src/testing/render.ts": "export const x = 1\n"}, ["src/testing/**"]),
        ({"test/a.test.js": "const s = require('../spec_support')\n", "spec_support/index.js": "", "spec_support/a.json": ""}, ["spec_support/**"]),
        ({"test/a.test.js": "fs.readFileSync('fixtures/a.json')\n", "fixtures/a.json": "{}"}, ["fixtures/**"]),
        ({"test/a.test.js": "path.join(here, '../fixtures/a.json')\n", "fixtures/a.json": "{}"}, ["fixtures/**"]),
        ({"test/a.test.js": "", "vitest.config.js": "export default { test: { setupFiles: ['support/a.js'] } }\n",
          "support/a.js": "import '../fakes/b.js'\n", "fakes/b.js": ""}, ["fakes/**", "support/**"]),
        ({"test/a.test.js": "", "jest.config.js": "module.exports = { moduleNameMapper: { css: '<rootDir>/mocks/css.js', "
                                                  "'^@/(.*)': '<rootDir>/src/$1', app: '<rootDir>/src/index.js' } }\n",
          "mocks/css.js": ""}, ["mocks/**"]),
        ({"test/a.test.js": "", "mocks/css.js": "",
          "package.json": '{"scripts": {"test": "jest"}, "jest": {"moduleNameMapper": {"css": "<rootDir>/mocks/css"}}}'},
         ["mocks/**"]),
        ({"Cargo.toml": "[package]\n", "tests/a.rs": '#[path = "../support/b.rs"]\nmod b;\n', "support/b.rs": ""},
         ["support/**"]),
    ],
)  # fmt: skip
def test_helpers_and_data_of_node(tmp_path: Path, files: dict[str, str], expected: list[str]):
    assert protected(tmp_path, {**NODE, **files}) == expected


@pytest.mark.parametrize(
    "files",
    [
        {"tests/test_a.py": "import app\nfrom app import testing\n", "app/testing.py": ""},
        {"tests/test_a.py": "from app.testing.fixtures import x\n", "app/testing/__init__.py": "", "app/testing/fixtures.py": ""},
        {"tests/test_a.py": "from app import fake\n", "src/app/__init__.py": "", "src/app/fake.py": ""},
        {"tests/test_a.py": "import helpers\n", "helpers.py": "", "app/more.py": "import helpers\n"},
        {"tests/test_a.py": "from support import x\n", "support/__init__.py": "x = 1\n", "cli.py": "from support import x\n"},
        {"tests/test_a.py": "import server\n", "server.py": ""},
        {"tests/test_a.py": "open('data/table.json')\n", "data/table.json": "", "app/more.py": "LOAD = 'data/table.json'\n"},
        {"tests/test_a.py": "open('README.md'), open('docs/a.md'), open('app/a.json')\n", "README.md": "", "docs/a.md": "", "app/a.json": ""},
        {"tests/test_a.py": "import helpers\n", "helpers.py": "", "setup.py": "setup(py_modules=['helpers'])\n"},
        {"tests/test_a.py": "open('fixtures/nowhere.json')\n"},
    ],
)  # fmt: skip
def test_the_product_is_never_among_them(tmp_path: Path, files: dict[str, str]):
    assert protected(tmp_path, {**PY, **files}) == []


def test_they_are_said_to_be_found_and_hold_in_every_stage(tmp_path: Path):
    root = lay(tmp_path, {**PYTEST, "tests/test_more.py": "import fakes\n", "fakes.py": ""})
    write(plan_files(root, {}, lambda name: name), root, force=False)
    page = (root / ".interlock/common.yaml").read_text()
    assert "What only tests import or open" in page
    pipeline = load_pipeline(root / ".interlock/pipelines/feature.yaml", root).pipeline
    assert all("/fakes.py" in stage.scope.protect for stage in pipeline.stages)


def test_of_a_part_they_are_named_from_the_root(tmp_path: Path):
    part = {"pyproject.toml": "[project]\nname = 'api'\n", "api.py": "", "tests/test_a.py": "from testing import x\n", "testing/__init__.py": "x = 1\n"}  # fmt: skip
    assert protected(tmp_path, {f"services/api/{name}": text for name, text in part.items()}) == [
        "services/api/testing/**"
    ]
