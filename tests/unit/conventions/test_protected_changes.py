"""Test files that grow: what is kept, and where it is allowed."""

from __future__ import annotations

import pytest

from interlock.conventions.protected_changes import grew, is_reconciled, may_grow
from interlock.core import pipeline as parts
from interlock.core.pipeline import Gate, GateKind, Pipeline, Scope, Stage, When

OLD = """\
from app import add


class TestAdd:
    def test_one(self):
        assert add(1, 1) == 2


def test_two():
    assert add(2, 2) == 4
"""
CASES = "@mark.parametrize('a, b', [\n    (1, 2),\n])\ndef test_cases(a, b):\n    assert a < b\n"
NEW = "\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"
JS = "import { add } from '../app.js';\nconst { keep } = require('x');\n\ntest('adds', () => expect(add(1)).toBe(3));\n"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("test_app.py", OLD, OLD + NEW),
        ("test_app.py", OLD, "from app import mul\n" + OLD + NEW),
        ("test_app.py", OLD, OLD.replace("import add", "import add, mul") + NEW),
        ("test_app.py", OLD, OLD.replace("import add", "import abs, add, mul as times") + NEW),
        ("test_app.py", OLD, OLD.replace("\n\n\ndef", "\n\n    def test_more(self):\n        assert True\n\n\ndef")),
        ("test_app.py", CASES, CASES.replace("    (1, 2),\n", "    (1, 2),\n    (3, 4),\n")),
        ("test_app.py", OLD.rstrip("\n"), OLD + NEW),
        ("test_app.py", "", NEW),
        ("test_app.py", OLD.replace("\n", "\r\n"), (OLD + NEW).replace("\n", "\r\n")),
        ("app.test.js", JS, JS.replace("{ add }", "{ add, mul }") + "test('multiplies', () => mul(1, 2));\n"),
        ("app.test.js", JS, JS.replace("{ keep }", "{ keep, lose }")),
    ],
)  # fmt: skip
def test_lines_that_are_added_are_growth(path: str, old: str, new: str) -> None:
    assert grew(path, old.encode(), new.encode())


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("test_app.py", OLD, OLD.replace("== 4", "!= 5") + NEW),
        ("test_app.py", OLD, OLD.replace("    assert add(2, 2) == 4\n", "    pass\n") + NEW),
        ("test_app.py", OLD, OLD.replace("import add", "import mul") + NEW),
        ("test_app.py", OLD, OLD.replace("from app", "from twin") + NEW),
        ("test_app.py", OLD, OLD.replace("def test_two", "def helper_two")),
        ("test_app.py", OLD, OLD.replace("    assert add(2", "        assert add(2")),
        ("test_app.py", OLD, OLD + "\n\ndef test_two():\n    pass\n"),
        ("test_app.py", OLD, OLD + "\n\nclass TestAdd:\n    pass\n"),
        ("test_app.py", OLD, OLD + "\n\nif True:\n    def test_two():\n        pass\n"),
        ("test_app.py", OLD, OLD.replace("():\n", "():\n    return\n")),
        ("test_app.py", OLD, OLD.replace("(self):\n", "(self):\n        return\n")),
        ("test_app.py", OLD, OLD.replace("def test_two", "@skip\ndef test_two")),
        ("test_app.py", OLD, "_OLD = \"\"\"\n" + OLD + "\"\"\"\n"),
        ("test_app.py", CASES, CASES.replace("@mark", "@skip\n@mark")),
        ("test_app.py", OLD, ""),
        ("test_app.py", "\n".join(["a = 1", "b = 2"]), "\n".join(["b = 2", "a = 1"])),
        ("app.test.js", JS, JS.replace("toBe(3)", "toBeTruthy()")),
        ("app.test.js", JS, JS.replace("'../app.js'", "'../twin.js'")),
        ("app.test.js", JS, JS.replace("{ add }", "{ mul }")),
    ],
)  # fmt: skip
def test_whatever_changes_or_goes_is_none(path: str, old: str, new: str) -> None:
    assert not grew(path, old.encode(), new.encode())


WRAPPED = {
    "test_a.py": [
        ("from app import add", "from app import (\n    add,\n    mul,\n)"),
        ("from app import add", "from app import (add, mul)"),
        ("from app import add  # noqa: F401", "from app import add, mul  # noqa: F401"),
        ("from app import add  # noqa: F401", "from app import (  # noqa: F401\n    add,\n    mul,  # twice\n)"),
        ("from app import (\n    add,\n    keep,\n)", "from app import (\n    add,\n    keep,\n    mul,\n)"),
        ("from app import (\n    add,\n    keep,\n)", "from app import (\n    keep,\n    mul,\n    add\n)"),
        ("from .app import add as plus", "from .app import (\n    add as plus,\n    mul,\n)"),
    ],
    "a.test.ts": [
        ("import { add } from './app';", "import {\n  add,\n  mul,\n} from './app';"),
        ("import add from './app'", "import add, { mul } from './app'"),
        ("import type { A } from './app';", "import type {\n  A,\n  B\n} from './app';"),
        ("import {\n  add,\n} from './app'", "import { add, mul } from './app'"),
        ("import { add } from './app';", "import plain, { add } from './app';"),
        ("const { add } = require('./app');", "const {\n  add,\n  mul: times,\n} = require('./app');"),
    ],
    "a.rs": [
        ("use app::add;", "use app::{add, mul};"),
        ("use app::{add, keep};", "use app::{\n    add, keep,\n    mul,\n};"),
        ("    use app::sums::add;", "    use app::{mul, sums::add};"),
        ("use app::add as plus;", "use app::{add as plus, mul};"),
    ],
}
OTHER = {
    "test_a.py": [
        ("from app import add", "from twin import (\n    add,\n    mul,\n)"),
        ("from app import add", "from app import (\n    mul,\n)"),
        ("from app import add", "from app import (\n    sub as add,\n)"),
        ("from app import add", "    from app import (\n    add,\n    mul,\n)"),
        ("from app import add", "from app import (add, mul); add = mul"),
        ("from app import add", "from app import *"),
        ("from app import add", "# from app import add, mul"),
        ('x = "from app import add"', 'x = "from app import add, mul"'),
    ],
    "a.test.ts": [
        ("import { add } from './app';", "import {\n  add,\n  mul,\n} from './twin';"),
        ("import { add } from './app';", "import {\n  mul as add,\n} from './app';"),
        ("import add from './app'", "import twin, { add } from './app'"),
        ("import { add } from './app';", "import type { add, mul } from './app';"),
        ("const { add } = require('./app');", "const {\n  mul: add,\n} = require('./app');"),
        ("const { add } = require('./app');", "let {\n  add,\n  mul,\n} = require('./app');"),
    ],
    "a.rs": [
        ("use app::add;", "use twin::{add, mul};"),
        ("use app::add;", "use app::{mul as add};"),
        ("use app::add;", "use app::twin::add;"),
        ("use app::add;", "use app::{twin::add, mul};"),
        ("use app::add;", "pub use app::{add, mul};"),
    ],
}


@pytest.mark.parametrize(
    ("path", "old", "new"), [(path, old, new) for path, rows in WRAPPED.items() for old, new in rows]
)
def test_an_import_may_name_more_however_it_is_wrapped(path: str, old: str, new: str) -> None:
    for newline in ("\n", "\r\n"):
        before, after = (f"{text}\n\nlast\n".replace("\n", newline).encode() for text in (old, new))
        assert grew(path, before, after)


@pytest.mark.parametrize(
    ("path", "old", "new"), [(path, old, new) for path, rows in OTHER.items() for old, new in rows]
)
def test_an_import_of_something_else_is_no_growth(path: str, old: str, new: str) -> None:
    assert not grew(path, f"{old}\n\nlast\n".encode(), f"{new}\n\nlast\n".encode())


def pipeline(*stages: Stage) -> Pipeline:
    return Pipeline("p", stages)


def guard(**said: str) -> Gate:
    return Gate("old", GateKind.RUN, tests=parts.Tests.BASE, **said)  # type: ignore[arg-type]


ADDS = Scope(adds=("tests/**", "pkg/**"))
ALONE = Stage("code", scope=ADDS, gates=(guard(used="python.test"),))


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("tests/test_app.py", True),
        ("tests/deep/app_test.py", True),
        ("tests/conftest.py", False),
        ("tests/helpers.py", False),
        ("tests/pytest.ini", False),
        ("tests/data/sums.json", False),
        ("tests/__init__.py", False),
        ("src/test_app.py", False),  # not among what it adds
        ("pkg/app.test.js", False),  # the gate judges Python
    ],
)
def test_only_tests_that_a_gate_guards_grow(path: str, *, allowed: bool) -> None:
    assert may_grow(pipeline(ALONE), ALONE, path) is allowed


def test_a_later_stage_guards_unless_it_can_be_skipped() -> None:
    tests, path = Stage("tests", scope=ADDS), "tests/test_app.py"
    later = Stage("code", needs=("tests",), gates=(guard(),))
    skippable = Stage("code", needs=("tests",), gates=(guard(),), when=When("a/b", "/x", "1"))
    beside = Stage("code", gates=(guard(),))
    assert may_grow(pipeline(tests, later), tests, path)
    assert not may_grow(pipeline(tests, skippable), tests, path)
    assert not may_grow(pipeline(tests, beside), tests, path)
    assert not may_grow(pipeline(tests), tests, path)


def test_a_gate_guards_its_own_folder() -> None:
    stage = Stage("code", scope=Scope(adds=("**/tests/**",)), gates=(guard(dir="one"),))
    assert may_grow(pipeline(stage), stage, "one/tests/test_app.py")
    assert not may_grow(pipeline(stage), stage, "two/tests/test_app.py")


HEAD = "from app import add\n\n\ndef test_old():\n    assert add(1, 1) == 2\n"
ONE = "\n\ndef test_one():\n    assert add(1, 0) == 1\n"
TWO = "\n\ndef test_two():\n    assert add(2, 0) == 2\n"
MARKED = f"{HEAD}<<<<<<< a\n{ONE}||||||| base\n=======\n{TWO}>>>>>>> b\n"
TESTS = "tests/test_app.py"


@pytest.mark.parametrize("new", [HEAD + ONE, HEAD + TWO, HEAD + ONE + TWO, HEAD + TWO + ONE])
def test_a_side_or_both(new: str) -> None:
    assert is_reconciled(TESTS, MARKED.encode(), new.encode())
    assert is_reconciled(TESTS, MARKED.replace("||||||| base\n", "").encode(), new.encode())


@pytest.mark.parametrize(
    "new",
    [
        HEAD,
        ONE + TWO,
        HEAD + ONE + TWO + "\n\ndef test_three():\n    pass\n",
        HEAD + ONE + TWO.replace("== 2", "!= 2"),
        HEAD + ONE + TWO + "pytestmark = skip\n",
        HEAD + ONE.replace("def test_one():\n", "def test_one():\n    assert add(2, 0) == 2\n") + TWO,
        MARKED,
        "",
    ],
)
def test_nothing_else(new: str) -> None:
    assert not is_reconciled(TESTS, MARKED.encode(), new.encode())


def test_imports_of_both_sides_on_one_line() -> None:
    marked = MARKED.replace(
        "from app import add\n", "<<<<<<< a\nfrom app import add, one\n=======\nfrom app import add, two\n>>>>>>> b\n"
    )
    both = HEAD.replace("add\n", "add, one, two\n", 1) + ONE + TWO
    assert is_reconciled(TESTS, marked.encode(), both.encode())


def test_of_configuration_one_side_only() -> None:
    assert is_reconciled("ruff.toml", b"<<<<<<< a\nx = 1\n=======\ny = 1\n>>>>>>> b\n", b"x = 1\n")
    assert not is_reconciled("ruff.toml", b"<<<<<<< a\nx = 1\n=======\ny = 1\n>>>>>>> b\n", b"x = 1\ny = 1\n")


def test_marks_of_more_than_one_merge_are_nobodys_side() -> None:
    nested = f"<<<<<<< b\n{MARKED}=======\nx\n>>>>>>> c\n"
    assert not is_reconciled(TESTS, nested.encode(), (HEAD + ONE + TWO).encode())


BEFORE = "test('a', () => {\n    call();\n    return;\n});\n"
ONE_JS, TWO_JS = (f"test('{name}', () => {{\n    other('{name}');\n    return;\n}});\n" for name in "bc")
ENDS = "    return;\n});\n"  # of both, behind the marks, as git leaves it
CLASH = f"{BEFORE}<<<<<<< x\n{ONE_JS.removesuffix(ENDS)}=======\n{TWO_JS.removesuffix(ENDS)}>>>>>>> y\n{ENDS}// end\n"
JS_TEST = "test/a.test.js"


def holds(new: str, marked: str = CLASH, base: str = f"{BEFORE}// end\n") -> bool:
    return is_reconciled(JS_TEST, marked.encode(), new.encode(), base.encode())


@pytest.mark.parametrize("added", [f"{ONE_JS}\n{TWO_JS}", TWO_JS + ONE_JS, ONE_JS, TWO_JS])
def test_lines_that_both_sides_added_come_twice(added: str) -> None:
    assert holds(f"{BEFORE}{added}// end\n")


@pytest.mark.parametrize(
    "old",
    [
        BEFORE.replace("    call();\n", "    return;\n    call();\n"),
        BEFORE.replace("    call();\n", "    call();\n    call();\n"),
        BEFORE + "// end\n",
        BEFORE + BEFORE,
        "",
    ],
)
def test_a_line_of_the_base_comes_once(old: str) -> None:
    """Neither as a copy, nor as the line of an added test that does without it."""
    both = ONE_JS + TWO_JS
    for added in (both, both.replace(ENDS, "});\n", 1), both.replace("});\n", "", 1)):
        assert not holds(f"{old}{added}// end\n")


def test_what_one_side_changed_is_as_it_changed_it() -> None:
    marked = "one\n<<<<<<< x\nb\n=======\nc\n>>>>>>> y\nlast\n"
    assert holds("one\nb\nc\nlast\n", marked, "one\nold\nlast\n")
    assert not holds("one\nb\none\nc\nlast\n", marked, "one\nold\nlast\n")


def test_what_both_added_may_come_once() -> None:
    marked = "<<<<<<< x\nimport os\nb\n=======\nimport os\nc\n>>>>>>> y\n"
    assert holds("import os\nb\nc\n", marked, "")
    assert holds("import os\nb\nimport os\nc\n", marked, "")


def test_a_long_file_is_decided() -> None:
    long = "    return;\n" * 3_000
    marked = f"{long}<<<<<<< x\nb\n=======\nc\n>>>>>>> y\n"
    assert holds(f"{long}b\nc\n", marked, long)
    assert not holds(f"{long}    return;\nb\nc\n", marked, long)
