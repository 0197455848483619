"""unittest: an assertion of its own, a plain one, an expected exception that does not come."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.gates.canary.planting import Beside
from interlock.gates.canary.words import Words

_TEXT = """\
import unittest


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


def written(beside: Beside, words: Words) -> Mapping[str, str]:
    path = named_like(beside.tests[0], words.name)
    one, two, three = words.failing
    text = _TEXT.format(
        one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        title=words.name.title(),
    )  # fmt: skip
    return {path: text}


def named_like(sibling: str, word: str) -> str:
    """A path beside `sibling`, named in its way."""
    folder, slash, name = sibling.rpartition("/")
    return folder + slash + (f"{word}_test.py" if name.endswith("_test.py") else f"test_{word}.py")
