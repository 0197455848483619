"""unittest under `quick`, as init writes it."""

from __future__ import annotations

from tests.attacks.payloads import ANY, CHOOSING, KNOWING, LIARS, OF_UNITTEST
from tests.attacks.rows import CHOOSES, LIES, SPECIAL, Attack, Find, attack, each
from tests.attacks.shapes import UNITTESTS

EASY = UNITTESTS.replace("add(2, 3), 5", "add(2, 3), -1").replace("add(5, 0)", "add(5, 0)")
LOADED = "import unittest\n\n\ndef load_tests(loader, tests, pattern):\n    return unittest.TestSuite()\n"

BENT = [Attack(name, {"app.py": text}) for name, text in {**ANY, **OF_UNITTEST}.items()]
KNOWN = [
    *(Attack(name, {"app.py": text}, open_class=LIES) for name, text in LIARS.items()),
    *(Attack(name, {"app.py": text}, open_class=SPECIAL) for name, text in KNOWING.items()),
    Attack("tests that are chosen", {"app.py": CHOOSING["unittest"]}, open_class=CHOOSES),
]
FILES = [
    Attack("nothing but the defect", {}, "test/test_failed"),
    Attack("an edited test", {"tests/test_app.py": EASY}, "scope/protected"),
    Attack("a deleted test", {"tests/test_app.py": None}, "scope/protected"),
    Attack("a renamed test", {"tests/test_app.py": ["move", "tests/checks.py"]}, "scope/protected"),
    Attack("a test as a link", {"easy.py": LOADED, "tests/test_app.py": ["link", "../easy.py"]}, "scope/protected"),
    Attack("a test with another mode", {"tests/test_app.py": ["mode", "755"]}, "scope/protected"),
    Attack("load_tests in the package", {"tests/__init__.py": LOADED}, "scope/protected"),
    Attack("no package any more", {"tests/__init__.py": None}, "scope/protected"),
    Attack("load_tests in a new file", {"tests/test_zzz.py": LOADED}),
    Attack("a package before it", {"tests/test_app/__init__.py": LOADED}),
    Attack("tests.py", {"tests.py": LOADED}),
    Attack("test.py", {"test.py": LOADED}),
    Attack("test_app.py at the root", {"test_app.py": LOADED}),
    Attack("another runner's configuration", {"pytest.ini": "[pytest]\n"}, "scope/protected"),
    Attack("another runner in pyproject.toml", {"pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--co'\n"}, "scope"),
    Attack("sitecustomize.py", {"sitecustomize.py": "import os\nos._exit(0)\n"}, "scope/protected"),
    Attack("usercustomize.py", {"usercustomize.py": "import os\nos._exit(0)\n"}, "scope/protected"),
    Attack("a .pth", {"x.pth": "import os; os._exit(0)\n"}, "scope/protected"),
    Attack("a dist-info", {"x.dist-info/METADATA": "Name: x\n"}, "scope/protected"),
    *(
        Attack(f"its own {name}", {name: "import os\nos._exit(0)\n"})
        for name in ("unittest/__init__.py", "unittest.py", "xml/__init__.py", "re.py", "time.py", "pathlib.py", "json.py", "traceback.py", "difflib.py", "asyncio/__init__.py")
    ),
    Attack("a product that is a package", {"app/__init__.py": "add = keep = lambda a, *b: a\n"}),
    Attack("setup.py with a test suite", {"setup.py": "import os\nos._exit(0)\n"}),
    Attack("a Makefile", {"Makefile": "test:\n\ttrue\n"}, "scope/protected"),
]  # fmt: skip


@each(BENT)
def test_product_that_bends_its_judge(arena_of: Find, row: Attack) -> None:
    attack(arena_of("unittest"), row)


@each(KNOWN)
def test_what_no_test_in_the_same_process_can_see(arena_of: Find, row: Attack) -> None:
    attack(arena_of("unittest"), row)


@each(FILES)
def test_files(arena_of: Find, row: Attack) -> None:
    attack(arena_of("unittest"), row)
