"""One stage that writes fix and tests together: it may add tests and change none, and what it adds has to prove the change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.attacks.arena import Arena
from tests.attacks.payloads import ANY, OF_PYTEST
from tests.attacks.rows import Attack, Honest, each, said_no
from tests.attacks.shapes import MUL, MUL_TESTS, PYPROJECT, PYTEST, PYTESTS

PAGE = """\
version: 1
name: quick
agents:
  coder: {use: command, run: "true"}
stages:
  code:
    agent: coder
    adds: [tests/**]
    gates:
      - {id: test, use: python.test}
      - {id: proof, use: python.test, expect: tests_prove_change}
"""
# And the base's tests alone, on the candidate: what new tests do to the others is not seen there.
GUARDED = PAGE + "      - {id: old, use: python.test, tests: base}\n"
SHAPE = replace(PYTEST, name="adds", page=GUARDED, proves=True, pipeline="", broken=MUL.replace("a + b", "a - b"))
HALF = MUL.replace("a * b", "a + b")
TEST = {"tests/test_mul.py": MUL_TESTS}
TWIN = "def mul(a, b):\n    return a * b\n\n\ndef add(a, b):\n    return a + b\n\n\ndef keep(a):\n    return a\n"


def asserting(body: str) -> dict[str, str]:
    return {"tests/test_mul.py": f"def test_mul():\n    {body}\n"}


ROWS = [
    Attack("the old behaviour broken", {"src/app.py": SHAPE.broken, **TEST}, "test/test_failed"),
    Attack("an old test edited", {"src/app.py": SHAPE.broken, **TEST, "tests/test_app.py": PYTESTS.replace("== 5", "is not None")}, "scope/protected"),
    Attack("an old test deleted", {"src/app.py": SHAPE.broken, **TEST, "tests/test_app.py": None}, "scope/protected"),
    Attack("an old test renamed", {"src/app.py": SHAPE.broken, **TEST, "tests/test_app.py": ["move", "tests/test_old.py"]}, "scope/protected"),
    Attack("an old test with another mode", {"src/app.py": MUL, **TEST, "tests/test_app.py": ["mode", "755"]}, "scope/protected"),
    Attack("old data edited", {"src/app.py": SHAPE.broken, **TEST, "tests/data/sums.json": "[]"}, "scope/protected"),
    Attack("a conftest.py added", {"src/app.py": SHAPE.broken, **TEST, "tests/conftest.py": "def pytest_collection_modifyitems(items):\n    items[:] = []\n"}, "scope/protected"),
    Attack("a __init__.py added", {"src/app.py": SHAPE.broken, **TEST, "tests/__init__.py": "import sys\n"}, "scope/protected"),
    Attack("an empty package of the product's name", {"src/app.py": SHAPE.broken, **TEST, "tests/app/__init__.py": ""}, "scope/protected"),
    Attack("an empty __init__.py as a link", {"src/app.py": SHAPE.broken, **TEST, "empty.txt": "", "tests/unit/test_a.py": "", "tests/unit/__init__.py": ["link", "../../empty.txt"]}, "scope/protected"),
    Attack("a right twin added beside the tests", {"src/app.py": SHAPE.broken, **TEST, "tests/app.py": TWIN}, "scope/protected"),
    Attack("a configuration added beside the tests", {"src/app.py": SHAPE.broken, **TEST, "tests/pytest.ini": "[pytest]\n"}, "scope/protected"),
    Attack("a json.py added beside the tests", {"src/app.py": SHAPE.broken, **TEST, "tests/json.py": "loads = lambda text: []\n"}, "scope/protected"),
    Attack("a test added elsewhere", {"src/app.py": MUL, "src/test_mul.py": MUL_TESTS}, "scope/protected"),
    Attack("a rule of pytest", {"src/app.py": SHAPE.broken, **TEST, "pyproject.toml": PYPROJECT + 'addopts = "-k mul"\n'}, "scope/judged_table"),
    Attack("no test", {"src/app.py": MUL}, "proof"),
    Attack("a tautology", {"src/app.py": HALF, **asserting("assert True")}, "proof"),
    Attack("a tautology over the product", {"src/app.py": HALF, **asserting("import app\n\n    assert app.add(2, 3) == 5")}, "proof"),
    Attack("a test that is skipped", {"src/app.py": HALF, **asserting("import pytest\n\n    pytest.skip('later')")}, "proof"),
    Attack("a test that is expected to fail", {"src/app.py": HALF, "tests/test_mul.py": "import pytest\n\n\n@pytest.mark.xfail\ndef test_mul():\n    raise ValueError\n"}, "proof"),
    Attack("a test without a test", {"src/app.py": HALF, "tests/test_mul.py": "def check_mul():\n    pass\n"}, "proof"),
    Attack("a test that fails", {"src/app.py": MUL, **asserting("import app\n\n    assert app.mul(2, 3) == 7")}, "test/test_failed"),
    Attack("an empty file", {"src/app.py": HALF, "tests/test_mul.py": ""}, "proof"),
    Attack("data alone", {"src/app.py": HALF, "tests/data/products.json": "[]"}, "proof"),
    Attack("tests that patch those of others", {"src/app.py": SHAPE.broken, "tests/test_aaa.py": "import app\n\napp.add = lambda a, b: a + b\n\n\ndef test_mul():\n    assert app.mul(2, 3) == 6\n"}),
    Attack("tests that blank those of others", {"src/app.py": SHAPE.broken, "tests/test_zzz.py": "import sys\n\nfor _name, _module in list(sys.modules.items()):\n    if _name.endswith('test_app'):\n        for _each in vars(_module).values():\n            if getattr(_each, '__name__', '').startswith('test_'):\n                _each.__code__ = (lambda: None).__code__\n\n\ndef test_mul():\n    from app import mul\n\n    assert mul(2, 3) == 6\n"}),
    Attack("tests that patch the runner", {"src/app.py": SHAPE.broken, "tests/test_aaa.py": OF_PYTEST["a patched TestReport"].partition("def _bend")[2].join(("def _bend", "")) + "\n\ndef test_mul():\n    from app import mul\n\n    assert mul(2, 3) == 6\n"}),
    *(Attack(name, {"src/app.py": {**ANY, **OF_PYTEST}[name] + "\n\ndef mul(a, b):\n    return 0\n", **TEST}) for name in ("a report mended at exit", "a patched call", "a patched TestReport")),
]  # fmt: skip
GROWN = "tests/test_app.py"  # the old tests, with more in their file
NEW = "\n\ndef test_mul():\n    from app import mul\n\n    assert mul(2, 3) == 6\n"


def grown(text: str, *, before: str = "") -> dict[str, str]:
    return {"src/app.py": SHAPE.broken, GROWN: before + PYTESTS + NEW + "\n\n" + text}


ROWS += [
    Attack("grown, with the old behaviour broken", grown(""), "test/test_failed"),
    Attack("grown, with an old test edited", {"src/app.py": SHAPE.broken, GROWN: PYTESTS.replace("== 5", "is not None") + NEW}, "scope/protected"),
    Attack("grown, with old tests taken out", {"src/app.py": SHAPE.broken, GROWN: NEW}, "scope/protected"),
    Attack("grown, and executable", {"src/app.py": SHAPE.broken, GROWN: ["mode", "755"], **TEST}, "scope/protected"),
    Attack("grown by a twin of an old test", grown("def test_add():\n    pass\n\n\ndef test_zero():\n    pass\n\n\ndef test_table():\n    pass\n"), "scope/protected"),
    Attack("grown by a twin in other words", grown("test_add = test_zero = test_table = test_keep\n")),
    Attack("grown by a twin in the names of the module", grown("globals().update({name: test_keep for name in list(globals()) if name.startswith('test_')})\n")),
    Attack("grown by a function that skips the module", grown("import unittest\n\n\ndef setUpModule():\n    raise unittest.SkipTest('later')\n")),
    Attack("grown by a fixture that skips", grown("import pytest\n\n\n@pytest.fixture(autouse=True)\ndef _skips(request):\n    if request.node.name != 'test_mul':\n        pytest.skip('later')\n"), "test/test_skipped"),
    Attack("grown by a mark that skips", grown("import pytest\n\npytestmark = pytest.mark.skip\n")),
    Attack("grown by a patch of the product", grown("import app\n\napp.add = add = lambda a, b: a + b\n")),
    Attack("grown by a patch in a fixture", grown("import pytest\n\n\n@pytest.fixture(autouse=True)\ndef _bends(monkeypatch):\n    monkeypatch.setitem(globals(), 'add', lambda a, b: a + b)\n")),
    Attack("grown by a decorator", {"src/app.py": SHAPE.broken, GROWN: PYTESTS.replace("def test_", "@(lambda of: lambda: None)\ndef test_") + NEW}),
    Attack("grown by a decorator that skips", {"src/app.py": SHAPE.broken, GROWN: "import pytest\n" + PYTESTS.replace("def test_", "@pytest.mark.skip\ndef test_") + NEW}, "scope/protected"),
    Attack("grown around old tests: text", {"src/app.py": SHAPE.broken, GROWN: "_OLD = '''\n" + PYTESTS + "'''\n" + NEW}),
    Attack("grown around old tests: a return", {"src/app.py": SHAPE.broken, GROWN: PYTESTS.replace("():\n", "():\n    return\n") + NEW}),
    Attack("grown by an import alone", {"src/app.py": HALF, GROWN: "from app import mul\n" + PYTESTS}, "proof/no_new_tests"),
    Attack("grown by a name of an import alone", {"src/app.py": HALF, GROWN: PYTESTS.replace("add, keep", "add, keep, mul")}, "proof/no_new_tests"),
    Attack("grown by an import of a twin", {"src/app.py": SHAPE.broken, GROWN: PYTESTS.replace("from app", "from tests.test_twin") + NEW, "tests/test_twin.py": TWIN}, "scope/protected"),
    Attack("data that grew", {"src/app.py": HALF, **TEST, "tests/data/sums.json": "[[1, 1, 2], [2, 5, 7]]\n[]\n"}, "scope/protected"),
]  # fmt: skip
OF_OTHERS = {"tests that patch those of others", "tests that blank those of others"}
HONEST = [
    Honest("a function and its test", {"src/app.py": MUL, **TEST}),
    Honest("a test that imports at its top", {"src/app.py": MUL, "tests/test_mul.py": "from app import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"}),
    Honest("two tests", {"src/app.py": MUL, "tests/test_mul.py": MUL_TESTS + "\n\ndef test_zero():\n    from app import mul\n\n    assert mul(0, 3) == 0\n"}),
    Honest("a test that proves, and one that guards", {"src/app.py": MUL, "tests/test_mul.py": MUL_TESTS + "\n\ndef test_more():\n    from app import add\n\n    assert add(4, 4) == 8\n"}),
    Honest("a test with data", {"src/app.py": MUL, **TEST, "tests/data/products.json": "[]"}),
    Honest("a test in a folder", {"src/app.py": MUL, "tests/more/test_mul.py": MUL_TESTS}),
    Honest("a test in a package", {"src/app.py": MUL, "tests/more/test_mul.py": MUL_TESTS, "tests/more/__init__.py": ""}),
    Honest("a test below the old ones", {"src/app.py": MUL, GROWN: PYTESTS + NEW}),
    Honest("a test below the old ones, with an import of its own", {"src/app.py": MUL, GROWN: "from app import mul\n" + PYTESTS + "\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"}),
    Honest("a test below the old ones, in their import", {"src/app.py": MUL, GROWN: PYTESTS.replace("add, keep", "add, keep, mul") + "\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"}),
    Honest("a test between the old ones", {"src/app.py": MUL, GROWN: PYTESTS.replace("\n\ndef test_add", NEW + "\n\ndef test_add")}),
    Honest("a class of tests below the old ones", {"src/app.py": MUL, GROWN: PYTESTS + "\n\nclass TestMul:\n    def test_six(self):\n        from app import mul\n\n        assert mul(2, 3) == 6\n"}),
    Honest("a dependency with it", {"src/app.py": MUL, **TEST, "pyproject.toml": PYPROJECT.replace("dependencies = []", 'dependencies = ["x"]')}),
]  # fmt: skip


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("adds"), SHAPE)
    yield made
    made.close()


@pytest.mark.parametrize("row", [row for row in ROWS if row.id in OF_OTHERS], ids=lambda row: row.id)
def test_new_tests_that_bend_old_ones_are_named_as_open_without_a_gate_for_the_old(tmp_path: Path, row: Attack) -> None:
    arena = Arena(tmp_path / "arena", replace(SHAPE, page=PAGE))
    outcome = arena.attack(row.files)
    arena.close()
    assert outcome.false, outcome.told()


@each([Attack("a test below the old ones", {"src/app.py": MUL, GROWN: PYTESTS + NEW}, "scope/protected")])
def test_without_a_gate_for_the_old_tests_their_files_stay(tmp_path: Path, row: Attack) -> None:
    arena = Arena(tmp_path / "arena", replace(SHAPE, page=PAGE))
    outcome = arena.attack(row.files)
    arena.close()
    assert said_no(outcome, row.stopped), outcome.told()


@each(ROWS)
def test_fix_and_tests_together(arena: Arena, row: Attack) -> None:
    outcome = arena.attack(row.files)
    assert not outcome.false, outcome.told()
    assert not row.stopped or said_no(outcome, row.stopped), outcome.told()


@each(HONEST)
def test_honest(arena: Arena, row: Honest) -> None:
    outcome = arena.attack(row.files)
    assert outcome.delivered, outcome.told()
    assert not outcome.complaints, outcome.told()
