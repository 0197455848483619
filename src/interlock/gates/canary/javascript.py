"""JavaScript and TypeScript: tests that must fail for jest, vitest, mocha and node:test.

Rule: if each test file is a process or a world of its own, the added one loads what the other tests load of the
project, since a manipulation lies there. mocha runs all files in one process and needs none of it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from interlock.gates.canary import Words
from interlock.gates.canary.planting import Siblings

_JEST = """\
{imports}
test('{one}', async () => {{
  for (const load of [{loads}]) {{
    try {{
      await load();
    }} catch {{
      // another test says what is wrong with it
    }}
  }}
  expect('{left}').toBe('{right}');
}});

test('{two}', () => {{
  expect(() => ['{left}']).toThrow();
}});

test('{three}', () => {{
  if (['{left}'].length !== Number('2')) throw new Error('{left}');
}});

test('{four}', () => {{
  expect('{left}' + '{right}').toEqual('{left}{right}');
}});
"""


def jest(siblings: Siblings, words: Words) -> Mapping[str, str]:
    script = likely(siblings, r"\b(test|it|describe)\b")
    if script is None:
        return {}
    explicit = "@jest/globals" in script.text
    imports = script.load("{ test, expect }", "@jest/globals") if explicit else ""
    ends = "forceExit" in " ".join(siblings.command.words)  # else jest would wait for what a module keeps open
    loaded = loaded_paths(siblings, script) if ends else ()
    return {script.named(words.name): _jest_text(script, words, imports, loaded)}


def _jest_text(script: Script, words: Words, imports: str, loaded: tuple[str, ...]) -> str:
    one, two, three = words.failing
    how = "import" if script.modern else "require"
    loads = ", ".join(f"() => {how}({path})" for path in loaded)
    return _JEST.format(
        imports=imports, one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        loads=loads,
    )  # fmt: skip


def vitest(siblings: Siblings, words: Words) -> Mapping[str, str]:
    script = likely(siblings, r"\b(test|it|describe|suite)\b")
    if script is None:
        return {}
    script = Script(script.path, f"import 'vitest';\n{script.text}")  # vitest has imports only
    imports = script.load("{ test, expect }", "vitest")
    return {script.named(words.name): _jest_text(script, words, imports, loaded_paths(siblings, script))}


_MOCHA = """\
{imports}
{suite}('{name}', function () {{
  {test}('{one}', function () {{
    assert.equal('{left}', '{right}');
  }});

  {test}('{two}', function () {{
    {expected};
  }});

  {test}('{three}', function () {{
    if (['{left}'].length !== Number('2')) throw new Error('{left}');
  }});

  {test}('{four}', function () {{
    assert.strictEqual('{left}' + '{right}', '{left}{right}');
  }});
}});
"""


def mocha(siblings: Siblings, words: Words) -> Mapping[str, str]:
    script = likely(siblings, r"\b(it|test|specify)\s*\(")
    if script is None:
        return {}
    imports = script.load("assert", "assert")
    expected = f"assert.throws(() => ['{words.left}'])"
    if re.search(r"""(?:from |require\()['"]chai['"]""", script.text):
        imports += script.load("{ expect }", "chai")
        expected = f"expect('{words.left}').to.equal('{words.right}')"
    names = ("describe", "it") if re.search(r"\bit\s*\(", script.text) else ("suite", "test")
    one, two, three = words.failing
    text = _MOCHA.format(
        imports=imports, suite=names[0], test=names[1], name=words.name, one=one, two=two, three=three,
        four=words.passing[0], left=words.left, right=words.right, expected=expected,
    )  # fmt: skip
    return {script.named(words.name): text}


# The process would wait for what the project keeps open, so it ends two seconds after its tests.
_NODE = """\
{imports}
test('{one}', async () => {{
  for (const path of [{loaded}]) {{
    try {{
      await import(path);
    }} catch {{
      // another test says what is wrong with it
    }}
  }}
  assert.equal('{left}', '{right}');
}});

test('{two}', () => {{
  assert.throws(() => ['{left}']);
}});

test('{three}', () => {{
  if (['{left}'].length !== 2) throw new Error('{left}');
}});

test('{four}', () => {{
  assert.strictEqual('{left}' + '{right}', '{left}{right}');
}});

after(() => setTimeout(() => process.exit(1), 2000).unref());
"""


def node(siblings: Siblings, words: Words) -> Mapping[str, str]:
    script = likely(siblings, r"['\"](node:)?test['\"]")
    if script is None:
        return {}
    one, two, three = words.failing
    imports = script.load("{ test, after }", "node:test") + script.load("assert", "node:assert")
    text = _NODE.format(
        imports=imports, one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        loaded=", ".join(loaded_paths(siblings, script)),
    )  # fmt: skip
    return {script.named(words.name): text}


_LOADED_MAX = 40
_NAME = re.compile(r"(?P<before>test-)?.+?(?P<after>[.\-_](?:test|tests|spec|specs))?(?P<ending>\.[cm]?[jt]sx?)")
_RELATIVE = re.compile(r"""(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*["'](\.{1,2}/[^"'\n]+)["']""")


@dataclass(frozen=True, slots=True)
class Script:
    """A test file as a model. `modern`: it uses `import`, not `require`."""

    path: str
    text: str

    @property
    def modern(self) -> bool:
        if self.path.endswith((".mjs", ".mts")):
            return True
        return not self.path.endswith((".cjs", ".cts")) and re.search(r"^\s*import\b", self.text, re.M) is not None

    def named(self, word: str) -> str:
        """A path in the same folder, with a name like its own."""
        folder, slash, name = self.path.rpartition("/")
        found = _NAME.fullmatch(name)
        before, after, ending = found.group("before", "after", "ending") if found else ("", ".test", ".js")
        if not before and not after and re.fullmatch(r"(test|tests|spec)\.\w+", name):
            after = ".test"
        return f"{folder}{slash}{before or ''}{word}{after or ''}{ending}"

    def load(self, name: str, module: str) -> str:
        """A line that imports names of a module, such as `{ it }`."""
        if self.modern:
            return f"import {name} from '{module}';\n"
        return f"const {name} = require('{module}');\n"


def likely(siblings: Siblings, pattern: str) -> Script | None:
    """The first test file that contains `pattern`."""
    found = (Script(path, text) for path in siblings.tests[:200] for text in (siblings.text(path),))
    return next((script for script in found if re.search(pattern, script.text)), None)


def loaded_paths(siblings: Siblings, script: Script) -> tuple[str, ...]:
    """The modules of the project that the tests load: quoted, relative to the script."""
    start = os.path.dirname(script.path)  # noqa: PTH120 - of text
    paths = sorted(set(_loaded(siblings)))[:_LOADED_MAX]
    relative = (os.path.relpath(path, start or ".") for path in paths)
    return tuple(json.dumps(path if path.startswith(".") else f"./{path}") for path in relative)


def _loaded(siblings: Siblings) -> Iterator[str]:
    for path in siblings.tests[:200]:
        folder = os.path.dirname(path)  # noqa: PTH120 - of text
        for found in _RELATIVE.findall(siblings.text(path)):
            yield os.path.normpath(os.path.join(folder, found))  # noqa: PTH118 - of text
