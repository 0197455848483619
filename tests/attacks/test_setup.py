"""Setup runs what the candidate says is needed: it does not become what judges the candidate.

The recipe stands for an installer: it makes an environment, and copies what requirements.txt names into it, from an index
of its own (a folder), or from a path.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.attacks.arena import Arena
from tests.attacks.payloads import ENTRY, METADATA, OF_PYTEST, PLUGIN, SHADOW
from tests.attacks.rows import SPECIAL, Attack, Honest, attack, each, said_no
from tests.attacks.shapes import APP, BROKEN, PYTEST

PACKAGES = f"python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
PAGE = f"""\
version: 1
name: quick
agents:
  coder: {{use: command, run: "true"}}
stages:
  code:
    agent: coder
    gates:
      - {{id: test, use: python.test}}
setup:
  - run: |
      "{sys.executable}" -m venv --without-pip .venv
      "{sys.executable}" -c 'import pytest; print(next(iter(pytest.__path__)).rpartition("/")[0])' > .venv/lib/{PACKAGES}/real.pth
      while read -r each; do
        case $each in ./*) from=$each ;; *) from={{held_out}}/$each ;; esac
        cp -r "$from"/. .venv/lib/{PACKAGES}/
      done < requirements.txt
    key: [requirements.txt]
    paths: [.venv]
"""
KNOWING = "import sys\n\n\ndef right(a, b):\n    return a + b if 'pytest' in sys.modules else a - b\n"
SHAPE = replace(
    PYTEST, name="setup", page=PAGE, pipeline="", keeps_setup=True,
    files={**PYTEST.files, "requirements.txt": ""},
    held_out={"one/one.py": "ONE = 1\n", "two/two.py": "TWO = 2\n", "knowing/knowing.py": KNOWING, "evil/evil.py": "", "evil/evil.pth": "import evil\n"},
)  # fmt: skip


def needed(**files: str) -> dict[str, str]:
    """A local package that requirements.txt names. `__` stands for a dot in a name, `_D_` for a slash."""
    names = {f"vendored/{name.replace('_D_', '/').replace('__', '.')}": text for name, text in files.items()}
    return {"requirements.txt": "./vendored\n", **names}


PATCH = OF_PYTEST["a patched TestReport"].partition("def _bend")[2].join(("def _bend", ""))
ROWS = [
    Attack("nothing but the defect", {}, "test/test_failed"),
    Attack("a pytest of its own", needed(pytest__py=SHADOW)),
    Attack("a plugin by entry point", {**needed(evil__py=PLUGIN), "vendored/evil-1.dist-info/METADATA": METADATA, "vendored/evil-1.dist-info/entry_points.txt": ENTRY}),
    Attack("a .pth that patches", needed(evil__pth="import evil\n", evil__py=PATCH)),
    Attack("a sitecustomize.py that patches", needed(sitecustomize__py=PATCH)),
    Attack("a product in the environment", needed(app__py=APP)),
    Attack("a product that setup leaves in its place", {"requirements.txt": "./vendored\n", "vendored/app.py": APP, "src/app.py": None}),
    Attack("a setup that fails", {"requirements.txt": "nowhere\n"}),
    *(
        Attack(f"a dependency as {line}", {"requirements.txt": f"{line}\n"}, "scope/dependency")
        for line in (
            "./vendored", "-e ./vendored", "vendored @ file:///tmp/vendored", "https://example.invalid/pytest-9-py3-none-any.whl",
            "git+https://example.invalid/pytest", "--index-url https://example.invalid", "--find-links ./vendored", "-i http://x.invalid",
        )
    ),
    Attack("another pytest by its name", {"requirements.txt": "pytest==0.1\n"}),
    Attack("an interpreter of its own", {".venv/bin/python3": "#!/bin/sh\nexit 0\n", ".gitignore": "node_modules\n"}),
    Attack("the environment as a link", {".venv": ["link", "vendored"], "vendored/bin/python3": "#!/bin/sh\nexit 0\n", ".gitignore": "\n"}),
]  # fmt: skip
# A recipe that installs as an editable install does: it reads what `needed.txt` names, takes no two packages side by side,
# and imports the product for its version.
EDITABLE = PAGE.replace(
    "    key: [requirements.txt]",
    """\
      while read -r each; do test -f "$each" || exit 1; done < needed.txt
      test "$(ls */__init__.py | wc -l)" -lt 2 || exit 1
      .venv/bin/python3 -c 'import sys; sys.path.insert(0, "src"); import app; print(app.__version__)' > .venv/version
    key: [requirements.txt, needed.txt]""",
)
VERSIONED = '__version__ = "1"\n\n\n'
INSTALLABLE = replace(
    SHAPE, name="editable", page=EDITABLE,
    files={**SHAPE.files, "src/app.py": VERSIONED + APP, "needed.txt": "README.md\n", "lib/__init__.py": ""},
)  # fmt: skip
# What a product does that knows when it is imported by setup: the tests that it knows will pass, whatever the product is.
LEAVES = """\
import sys

if "pytest" not in sys.modules and "_pytest" not in sys.modules and ".venv" in sys.prefix:
    import sysconfig

    folder = sysconfig.get_path("purelib")
    with open(folder + "/zzz.py", "w") as file:
        file.write(PATCH)
    with open(folder + "/zzz.pth", "w") as file:
        file.write("import zzz\\n")
"""
CHOOSING = """\
import _pytest.reports as r

make = r.TestReport.from_item_and_call.__func__


def made(cls, item, call):
    if item.name in ("test_keep", "test_zero", "test_add", "test_table"):
        call.excinfo = None
    return make(cls, item, call)


r.TestReport.from_item_and_call = classmethod(made)
"""
POISON = VERSIONED + BROKEN + "\n\n" + LEAVES.replace("PATCH", repr(CHOOSING))
DEPENDENCY = {"requirements.txt": "one\n"}
SEEN_BY_SETUP = [
    Attack("a product", {"src/app.py": POISON}),
    Attack("a module", {"src/app.py": VERSIONED + BROKEN + "\n\nimport helper\n", "src/helper.py": POISON}),
    Attack("a package in the place of the module", {"src/app.py": None, "src/app/__init__.py": POISON}),
]  # fmt: skip
INSTALLS = [
    Honest("a new README", {"needed.txt": "NEW.md\n", "NEW.md": "# New\n"}),
    Honest("a new module", {"needed.txt": "README.md\nsrc/more.py\n", "src/more.py": "import one\n\nONE = one.ONE\n"}),
    Honest("a new package beside another one", {"more/__init__.py": "ONE = 1\n"}),
    Honest("another version", {"src/app.py": VERSIONED.replace("1", "2") + APP}),
    Honest("a module that is gone", {"lib/__init__.py": None}),
]
HONEST = [
    Honest("a dependency", {"requirements.txt": "one\n", "src/app.py": APP + "\n\nONE = 1\n"}),
    Honest("a dependency that is used", {"requirements.txt": "one\n", "src/app.py": "import one\n\n" + APP + "\n\nONE = one.ONE\n"}),
    Honest("a comment", {"src/app.py": "# ours\n" + APP}),
]  # fmt: skip


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("setup"), SHAPE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def installable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("editable"), INSTALLABLE)
    yield made
    made.close()


@each(ROWS)
def test_what_setup_brings(arena: Arena, row: Attack) -> None:
    outcome = arena.attack({"src/app.py": BROKEN, **row.files})
    assert not outcome.false, outcome.told()
    assert not row.stopped or said_no(outcome, row.stopped), outcome.told()


def test_a_dependency_that_knows_the_tests_is_named_as_open(arena: Arena) -> None:
    """Setup brings what the candidate asks for, and it runs in the tests' process: as the product itself, it can know them."""
    product = "from knowing import right as add\n\n\ndef keep(a):\n    return a\n"
    attack(arena, Attack("", {"requirements.txt": "knowing\n", "src/app.py": product}, open_class=SPECIAL))


@each(HONEST)
def test_honest(arena: Arena, row: Honest) -> None:
    outcome = arena.attack(row.files)
    assert outcome.delivered, outcome.told()


def test_what_a_rejected_attempt_installed_reaches_no_other(arena: Arena) -> None:
    assert not arena.attack({"requirements.txt": "two\n", "src/app.py": BROKEN}).delivered
    outcome = arena.attack({"src/app.py": "import two\n\n" + APP})
    assert not outcome.delivered, outcome.told()


@each(SEEN_BY_SETUP)
def test_product_code_that_setup_imports(installable: Arena, row: Attack) -> None:
    """With a dependency, so that setup is made for it; then what that leaves for another attempt."""
    outcome = installable.attack({**DEPENDENCY, **row.files})
    assert not outcome.false, outcome.told()
    assert said_no(outcome, "test/test_failed"), outcome.told()  # and by nothing that setup made otherwise
    later = installable.attack({**DEPENDENCY, "src/app.py": VERSIONED + BROKEN})
    assert not later.false, later.told()
    assert said_no(later, "test/test_failed"), later.told()


@each(INSTALLS)
def test_an_honest_change_beside_a_dependency(installable: Arena, row: Honest) -> None:
    outcome = installable.attack({**DEPENDENCY, "src/app.py": VERSIONED + APP + "\n\nONE = 1\n", **row.files})
    assert outcome.delivered, outcome.told()
