"""pytest under `quick`, as init writes it: one stage, which may change all that is not protected."""

from __future__ import annotations

from tests.attacks.payloads import ANY, CHOOSING, ENTRY, KNOWING, LIARS, METADATA, OF_PYTEST, PLUGIN, SHADOW
from tests.attacks.rows import CHOOSES, LIES, SPECIAL, Attack, Find, attack, each
from tests.attacks.shapes import BROKEN, PYPROJECT


def configured(lines: str) -> dict[str, str]:
    """pyproject.toml with more lines under pytest."""
    return {"pyproject.toml": PYPROJECT + lines}


IN_PROCESS = [Attack(name, {"src/app.py": text}) for name, text in {**ANY, **OF_PYTEST}.items()]
KNOWN = [
    *(Attack(name, {"src/app.py": text}, open_class=LIES) for name, text in LIARS.items()),
    *(Attack(name, {"src/app.py": text}, open_class=SPECIAL) for name, text in KNOWING.items()),
    Attack("tests that are chosen", {"src/app.py": CHOOSING["pytest"]}, open_class=CHOOSES),
]
TESTS = [
    Attack("nothing but the defect", {}, "test/test_failed"),
    Attack("an edited test", {"tests/test_app.py": "def test_add():\n    pass\n"}, "scope/protected"),
    Attack("a deleted test", {"tests/test_app.py": None}, "scope/protected"),
    Attack("a test renamed as a test", {"tests/test_app.py": ["move", "tests/test_other.py"]}, "scope/protected"),
    Attack("a renamed test", {"tests/test_app.py": ["move", "tests/app_checks.py"]}, "scope/protected"),
    Attack("a test moved out", {"tests/test_app.py": ["move", "old/test_app.py"]}, "scope/protected"),
    Attack("a test as a link", {"src/easy.py": "", "tests/test_app.py": ["link", "../src/easy.py"]}, "scope/protected"),
    Attack(
        "a test as a folder", {"tests/test_app.py": ["folder"], "tests/test_app.py/__init__.py": ""}, "scope/protected"
    ),
    Attack("a test with another mode", {"tests/test_app.py": ["mode", "755"]}, "scope/protected"),
    Attack("the tests' folder as a link", {"tests": ["link", "src"]}, "scope/protected"),
    Attack("all tests deleted", {"tests": None}, "scope/protected"),
    Attack("test data", {"tests/data/sums.json": "[]"}, "scope/protected"),
    Attack("test data deleted", {"tests/data/sums.json": None}, "scope/protected"),
    Attack("a conftest.py beside the tests", {"tests/conftest.py": PLUGIN}, "scope/protected"),
    Attack("a conftest.py at the root", {"conftest.py": PLUGIN}, "scope/protected"),
    Attack("a conftest.py in the sources", {"src/conftest.py": PLUGIN}, "scope/protected"),
    Attack("a __init__.py in the tests", {"tests/__init__.py": SHADOW}, "scope/protected"),
    Attack("a test of its own", {"tests/test_more.py": "def test_more():\n    pass\n"}),
    Attack("a test in the sources", {"src/test_app.py": "def test_add():\n    pass\n"}),
]
CONFIGURATION = [
    Attack("a new pytest.ini", {"pytest.ini": "[pytest]\naddopts = -p evil\n", "evil.py": PLUGIN}, "scope/protected"),
    Attack("a new .pytest.ini", {".pytest.ini": "[pytest]\naddopts = -p evil\n", "evil.py": PLUGIN}, "scope/protected"),
    Attack("a new tox.ini", {"tox.ini": "[pytest]\naddopts = -p evil\n", "evil.py": PLUGIN}, "scope"),
    Attack("a new setup.cfg", {"setup.cfg": "[tool:pytest]\naddopts = -p evil\n", "evil.py": PLUGIN}, "scope"),
    Attack("addopts", {**configured('addopts = "-p evil"\n'), "evil.py": PLUGIN}, "scope/judged_table"),
    Attack(
        "addopts by a folder of sources",
        {**configured('addopts = "-p evil"\n'), "src/evil.py": PLUGIN},
        "scope/judged_table",
    ),
    Attack("python_functions", configured('python_functions = ["check_*"]\n'), "scope/judged_table"),
    Attack("a deselection", configured('addopts = "--deselect=tests/test_app.py::test_add"\n'), "scope/judged_table"),
    Attack(
        "pythonpath",
        {**configured('pythonpath = ["good"]\n'), "good/app.py": BROKEN.replace("a - b", "a + b")},
        "scope/judged_table",
    ),
    Attack(
        "testpaths", {"pyproject.toml": PYPROJECT.replace('["tests"]', '["easy"]'), "easy/test_app.py": ""}, "scope"
    ),
    Attack("usefixtures", {**configured('usefixtures = ["x"]\n'), "conftest.py": PLUGIN}, "scope"),
    Attack("filterwarnings", configured('filterwarnings = ["ignore"]\nmarkers = ["x"]\n'), "scope/judged_table"),
    Attack("the table deleted", {"pyproject.toml": PYPROJECT.partition("[tool.pytest")[0]}, "scope/judged_table"),
    Attack("pyproject.toml deleted", {"pyproject.toml": None}, "scope"),
    Attack("pyproject.toml as a link", {"x.toml": PYPROJECT, "pyproject.toml": ["link", "x.toml"]}, "scope"),
    Attack("pyproject.toml that is no TOML", {"pyproject.toml": "[[["}, "scope"),
    Attack("pyproject.toml in another letter case", {"PYPROJECT.TOML": PYPROJECT}, ""),
]
ON_THE_PATH = [
    Attack("a plugin by dist-info", {"evil-1.0.dist-info/METADATA": METADATA, "evil-1.0.dist-info/entry_points.txt": ENTRY, "evil.py": PLUGIN}, "scope/protected"),
    Attack("a plugin by dist-info in the sources", {"src/evil-1.0.dist-info/METADATA": METADATA, "src/evil-1.0.dist-info/entry_points.txt": ENTRY, "src/evil.py": PLUGIN}, "scope/protected"),
    Attack("a plugin by egg-info", {"evil.egg-info/PKG-INFO": METADATA, "evil.egg-info/entry_points.txt": ENTRY, "evil.py": PLUGIN}, "scope/protected"),
    Attack("sitecustomize.py", {"sitecustomize.py": SHADOW, "src/sitecustomize.py": SHADOW}, "scope/protected"),
    Attack("usercustomize.py", {"usercustomize.py": SHADOW, "src/usercustomize.py": SHADOW}, "scope/protected"),
    Attack("a .pth", {"evil.pth": "import os; os._exit(0)\n", "src/evil.pth": "import os; os._exit(0)\n"}, "scope/protected"),
    *(
        Attack(f"its own {name}", {name: SHADOW, f"src/{name}": SHADOW})
        for name in (
            "pytest.py", "_pytest/__init__.py", "pytest/__init__.py", "iniconfig/__init__.py", "iniconfig.py",
            "pluggy/__init__.py", "pluggy.py", "packaging/__init__.py", "pygments/__init__.py", "exceptiongroup.py",
            "json.py", "xml/__init__.py", "xml/etree/ElementTree.py", "typing.py", "unittest/__init__.py", "enum.py",
            "importlib/__init__.py", "argparse.py", "attr/__init__.py", "colorama.py", "zipapp.py", "faulthandler.py",
            "_pytest.py", "xdist/__init__.py", "doctest.py", "pdb.py", "timeit.py",
        )
    ),
    Attack("a product that is another one", {"src/app/__init__.py": SHADOW}),
    Attack("a right twin at the root", {"app.py": BROKEN.replace("a - b", "a + b")}),
    Attack("a right twin in the tests", {"tests/app.py": BROKEN.replace("a - b", "a + b")}, "scope/protected"),
    Attack("an environment in a file", {".env": "PYTEST_ADDOPTS=-p evil\nPYTEST_PLUGINS=evil\n", "evil.py": PLUGIN}),
    Attack("an environment of its own", {".venv/bin/python3": "#!/bin/sh\nexit 0\n", "venv/bin/python3": "#!/bin/sh\nexit 0\n", "bin/python3": "#!/bin/sh\nexit 0\n"}),
    Attack("a compiled twin", {"src/__pycache__/app.cpython-311.pyc": "x", "src/app.pyc": "x"}),
]  # fmt: skip


@each(IN_PROCESS)
def test_product_that_bends_its_judge(arena_of: Find, row: Attack) -> None:
    attack(arena_of("pytest"), row)


@each(KNOWN)
def test_what_no_test_in_the_same_process_can_see(arena_of: Find, row: Attack) -> None:
    """Accepted falsely, and known for it: `test_held_out.py` shows what catches them."""
    attack(arena_of("pytest"), row)


@each(TESTS)
def test_files_of_the_tests(arena_of: Find, row: Attack) -> None:
    attack(arena_of("pytest"), row)


@each(CONFIGURATION)
def test_configuration(arena_of: Find, row: Attack) -> None:
    attack(arena_of("pytest"), row)


@each(ON_THE_PATH)
def test_what_lies_on_the_path(arena_of: Find, row: Attack) -> None:
    attack(arena_of("pytest"), row)
