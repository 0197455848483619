"""pytest: a plain assertion, an expected exception that does not come, a case of unittest."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.core.globs import matches
from interlock.gates.canary.planting import Beside, Words, python_files
from interlock.gates.canary.recipes.unittest import named_like

_TEXT = """\
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


def written(beside: Beside, words: Words) -> Mapping[str, str]:
    path = _named(beside, words.name)
    one, two, three = words.failing
    text = _TEXT.format(
        one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        title=words.name.title(),
    )  # fmt: skip
    return {path: text}


def _named(beside: Beside, word: str) -> str:
    """A path beside the first test, by the names that pytest is told."""
    folder, slash, name = beside.tests[0].rpartition("/")
    told = next((glob for glob in python_files(beside.folder) if glob.count("*") == 1 and matches(glob, name)), "")
    return f"{folder}{slash}{told.replace('*', word)}" if told else named_like(beside.tests[0], word)
