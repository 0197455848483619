"""What tests in JavaScript and TypeScript have in common: names, kinds of modules, and what they load.

Rule: where each test file is a world of its own, the added one loads what the other tests load of the project, since a
lie lies there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from interlock.gates.canary.planting import Beside

_LOADED_MAX = 40
_NAME = re.compile(r"(?P<before>test-)?.+?(?P<after>[.\-_](?:test|tests|spec|specs))?(?P<ending>\.[cm]?[jt]sx?)")
_RELATIVE = re.compile(r"""(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*["'](\.{1,2}/[^"'\n]+)["']""")


@dataclass(frozen=True, slots=True)
class Script:
    """A test file to write one like. `modern`: it imports, and does not require."""

    path: str
    text: str

    @property
    def modern(self) -> bool:
        if self.path.endswith((".mjs", ".mts")):
            return True
        return not self.path.endswith((".cjs", ".cts")) and re.search(r"^\s*import\b", self.text, re.M) is not None

    def named(self, word: str) -> str:
        """A path beside it, named in its way."""
        folder, slash, name = self.path.rpartition("/")
        found = _NAME.fullmatch(name)
        before, after, ending = found.group("before", "after", "ending") if found else ("", ".test", ".js")
        if not before and not after and re.fullmatch(r"(test|tests|spec)\.\w+", name):
            after = ".test"
        return f"{folder}{slash}{before or ''}{word}{after or ''}{ending}"

    def load(self, name: str, module: str) -> str:
        """A line that binds the names of a module, such as `{ it }`."""
        if self.modern:
            return f"import {name} from '{module}';\n"
        return f"const {name} = require('{module}');\n"


def likely(beside: Beside, pattern: str) -> Script | None:
    """The first test file that has `pattern` in it."""
    found = (Script(path, text) for path in beside.tests[:200] for text in (beside.text(path),))
    return next((script for script in found if re.search(pattern, script.text)), None)


def loaded(beside: Beside, script: Script) -> tuple[str, ...]:
    """What the tests load of the project, quoted, as the script at `script.path` would name it."""
    start = os.path.dirname(script.path)  # noqa: PTH120 - of text
    paths = sorted(set(_loaded(beside)))[:_LOADED_MAX]
    relative = (os.path.relpath(path, start or ".") for path in paths)
    return tuple(json.dumps(path if path.startswith(".") else f"./{path}") for path in relative)


def _loaded(beside: Beside) -> Iterator[str]:
    for path in beside.tests[:200]:
        folder = os.path.dirname(path)  # noqa: PTH120 - of text
        for found in _RELATIVE.findall(beside.text(path)):
            yield os.path.normpath(os.path.join(folder, found))  # noqa: PTH118 - of text
