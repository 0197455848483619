"""Test programs without a known runner: one test file is broken.

Rule: it breaks as late as possible, so that code which ends the program early is noticed: by one more test if the file
has tests of a known kind, else when the program ends; if the file itself ends the program, after its imports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlock.conventions import masks
from interlock.gates.canary import Words
from interlock.gates.canary.javascript import Script
from interlock.gates.canary.planting import NewContent, Siblings

_SCRIPT = re.compile(r".+\.[cm]?[jt]sx?")
_TAPE = re.compile(
    r"(?:\b(?:const|let|var)\s+(?P<a>\w+)\s*=\s*require\(|\bimport\s+(?P<b>\w+)\s+from\s+)['\"](?:tape|tap|ava)['\"]"
)
_LOADED = re.compile(r"^(?:import\b[^\n]*|[^\n]*\brequire\([^\n]*|\}\s*from\s[^\n]*)\n", re.M)
_TAPE_TEST = "\n;{name}('{one}', function (t) {{ t.{equal}('{left}', '{right}');{end} }});\n"
_SPEC = "\n;describe('{name}', function () {{ it('{one}', function () {{ {expected}; }}); }});\n"
_LATE = """
{imports};process.once('beforeExit', function () {{
  const claims = [
    function () {{ {name}.equal('{left}', '{right}'); }},
    function () {{ {name}.strictEqual('{left}', '{right}'); }},
    function () {{ {name}.deepEqual(['{left}'], ['{right}']); }},
    function () {{ {name}.ok('{left}' === String('{right}')); }},
  ];
  for (const claim of claims) {{
    try {{ claim(); }} catch (error) {{ continue; }}
    process.exit(0);
  }}
  throw new Error('{one}: {left} is not {right}');
}});
"""
_CASE = """

import unittest


class {title}Test(unittest.TestCase):
    def test_{one}(self):
        self.assertEqual("{left}", "{right}")


"""
_FUNCTION = '\n\ndef test_{one}():\n    assert "{left}" == "{right}"\n\n\n'
_RAISED = '\n\nraise AssertionError("{one}: {left} is not {right}")\n\n\n'
_MAIN = re.compile(r"\bfn\s+main\s*\(\s*\)[^{]*\{")
_AT_END = """
    #[allow(non_camel_case_types)]
    struct {w.name};
    impl Drop for {w.name} {{
        fn drop(&mut self) {{
            assert_eq!("{w.left}", "{w.right}", "{one}: {w.left} is not {w.right}");
            std::process::exit(0);
        }}
    }}
    let _at_end = {w.name};
"""


def script(siblings: Siblings, words: Words) -> Mapping[str, str]:
    (path,) = siblings.tests
    text = siblings.text(path)
    if _SCRIPT.fullmatch(path):
        return {path: NewContent(_of_javascript(Script(path, text), words))}
    if path.endswith(".py"):
        return {path: NewContent(_of_python(text, words))}
    if path.endswith(".rs") and (main := _MAIN.search(masks.rust(text))):
        return {
            path: NewContent(text[: main.end()] + _AT_END.format(one=words.failing[0], w=words) + text[main.end() :])
        }
    if path.endswith((".sh", ".bash")) or re.match(r"#!.*\b(ba|da|z|k)?sh\b", text):
        return {path: NewContent(_of_shell(text, words))}
    return {}


def _of_javascript(script: Script, words: Words) -> str:
    text, one = script.text, words.failing[0]
    if found := _TAPE.search(text):
        equal, end = ("is", "") if "ava" in found[0] else ("equal", " t.end();")
        name = found["a"] or found["b"]
        return text + _TAPE_TEST.format(name=name, one=one, left=words.left, right=words.right, equal=equal, end=end)
    if re.search(r"^\s*(describe|it)\s*\(", text, re.M):
        expected = f"expect('{words.left}').toBe('{words.right}')"
        expected = expected if ".toBe(" in text else f"throw new Error('{words.left}')"
        return text + _SPEC.format(name=words.name, one=one, expected=expected)
    if "process.exit(" in text:
        at = max((found.end() for found in _LOADED.finditer(text)), default=0)
        thrown = f";if ('{words.left}' !== String('{words.right}')) throw new Error('{one}');\n"
        return text[:at] + thrown + text[at:]
    imports = script.load(words.name, "assert")
    return text + _LATE.format(imports=imports, name=words.name, one=one, left=words.left, right=words.right)


def _of_python(text: str, words: Words) -> str:
    """Before the part that runs if the file is the main program."""
    found = re.search(r"^if __name__\b|^unittest\.main\(", text, re.M)
    at = found.start() if found else len(text)
    kind = _RAISED
    if re.search(r"^class \w+\(.*TestCase\)", text, re.M):
        kind = _CASE
    elif re.search(r"^(async )?def test_|^class Test", text, re.M) and not found:
        kind = _FUNCTION
    broken = kind.format(title=words.name.title(), one=words.failing[0], left=words.left, right=words.right)
    return text[:at] + broken + text[at:]


def _of_shell(text: str, words: Words) -> str:
    """Before an `exit` in the last line."""
    found = re.search(r"^(exit|exec)\b[^\n]*\s*\Z", text, re.M)
    at = found.start() if found else len(text)
    return f"{text[:at]}\necho '{words.failing[0]} is not {words.right}' >&2\nexit 97\n{text[at:]}"
