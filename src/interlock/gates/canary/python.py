"""pytest and unittest: an assertion of each kind, an expected exception that does not come, a case of unittest.

Django has test cases of its own, which may be manipulated while unittest's are not: there is one test for each of them
that other tests use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlock.gates.canary import Words
from interlock.gates.canary.planting import Siblings, python_files
from interlock.text.globs import matches

_PYTEST = """\
import unittest

import pytest


def test_{one}():
    found = ["{left}"]
    assert found == ["{right}"]


def test_{two}():
    with pytest.raises(KeyError):
        {{"{left}": 1}}.pop("{left}")


class Test{title}(unittest.TestCase):
    def test_{three}(self):
        self.assertEqual("{left}".title(), "{right}".title())


def test_{four}():
    assert "{left}" + "{right}" == "{left}{right}"
"""


def pytest(siblings: Siblings, words: Words) -> Mapping[str, str]:
    path = _named(siblings, words.name)
    one, two, three = words.failing
    text = _PYTEST.format(
        one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        title=words.name.title(),
    )  # fmt: skip
    return {path: text}


def _named(siblings: Siblings, word: str) -> str:
    """A path beside the first test, named by pytest's configuration if it has globs."""
    folder, slash, name = siblings.tests[0].rpartition("/")
    configured = next(
        (glob for glob in python_files(siblings.folder) if glob.count("*") == 1 and matches(glob, name)), ""
    )
    return f"{folder}{slash}{configured.replace('*', word)}" if configured else named_like(siblings.tests[0], word)


_UNITTEST = """\
import unittest
{imports}

class {title}Test(unittest.TestCase):
    def test_{one}(self):
        self.assertEqual("{left}", "{right}")

    def test_{two}(self):
        assert ["{left}"] == ["{right}"]

    def test_{three}(self):
        with self.assertRaises(KeyError):
            {{"{left}": 1}}.pop("{left}")

    def test_{four}(self):
        self.assertEqual("{left}" + "{right}", "{left}{right}")
"""
_OF_DJANGO = """

class {title}{base}Test(django.test.{base}):
    def test_{one}(self):
        self.assertEqual("{left}", "{right}")
"""
_IMPORTED = re.compile(r"^from django\.test(?:\.testcases)? import (\([^)]*\)|[^\n]*)", re.M)
_BASES = frozenset({"SimpleTestCase", "TransactionTestCase", "TestCase"})
_READ_MAX = 200


def unittest(siblings: Siblings, words: Words) -> Mapping[str, str]:
    path = named_like(siblings.tests[0], words.name)
    one, two, three = words.failing
    bases = _bases_of_django(siblings)
    names = {"title": words.name.title(), "one": one, "left": words.left, "right": words.right}
    imports = "\nimport django.test\n" if bases else ""
    text = _UNITTEST.format(imports=imports, two=two, three=three, four=words.passing[0], **names)
    return {path: text + "".join(_OF_DJANGO.format(base=base, **names) for base in bases)}


def _bases_of_django(siblings: Siblings) -> list[str]:
    """The test case classes of Django that the tests use."""
    imported = " ".join(
        found for path in siblings.tests[:_READ_MAX] for found in _IMPORTED.findall(siblings.text(path))
    )
    return sorted(_BASES.intersection(re.findall(r"\w+", imported)))


def named_like(sibling: str, word: str) -> str:
    """A path in the folder of `sibling`, with a name like its own."""
    folder, slash, name = sibling.rpartition("/")
    return folder + slash + (f"{word}_test.py" if name.endswith("_test.py") else f"test_{word}.py")
