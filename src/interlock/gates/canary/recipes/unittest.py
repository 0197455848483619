"""unittest: an assertion of its own, a plain one, an expected exception that does not come.

Django has cases of its own, which may be bent while unittest's is not: of those that other tests use there is one each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlock.gates.canary.planting import Beside, Words

_TEXT = """\
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


def written(beside: Beside, words: Words) -> Mapping[str, str]:
    path = named_like(beside.tests[0], words.name)
    one, two, three = words.failing
    bases = _bases_of_django(beside)
    names = {"title": words.name.title(), "one": one, "left": words.left, "right": words.right}
    imports = "\nimport django.test\n" if bases else ""
    text = _TEXT.format(imports=imports, two=two, three=three, four=words.passing[0], **names)
    return {path: text + "".join(_OF_DJANGO.format(base=base, **names) for base in bases)}


def _bases_of_django(beside: Beside) -> list[str]:
    """The cases of Django that the tests use."""
    imported = " ".join(found for path in beside.tests[:_READ_MAX] for found in _IMPORTED.findall(beside.text(path)))
    return sorted(_BASES.intersection(re.findall(r"\w+", imported)))


def named_like(sibling: str, word: str) -> str:
    """A path beside `sibling`, named in its way."""
    folder, slash, name = sibling.rpartition("/")
    return folder + slash + (f"{word}_test.py" if name.endswith("_test.py") else f"test_{word}.py")
