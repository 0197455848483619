"""mocha: all files share one process, so what another one loads is seen here too."""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlock.gates.canary import javascript
from interlock.gates.canary.planting import Beside, Words

_TEXT = """\
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


def written(beside: Beside, words: Words) -> Mapping[str, str]:
    script = javascript.likely(beside, r"\b(it|test|specify)\s*\(")
    if script is None:
        return {}
    imports = script.load("assert", "assert")
    expected = f"assert.throws(() => ['{words.left}'])"
    if re.search(r"""(?:from |require\()['"]chai['"]""", script.text):
        imports += script.load("{ expect }", "chai")
        expected = f"expect('{words.left}').to.equal('{words.right}')"
    names = ("describe", "it") if re.search(r"\bit\s*\(", script.text) else ("suite", "test")
    one, two, three = words.failing
    text = _TEXT.format(
        imports=imports, suite=names[0], test=names[1], name=words.name, one=one, two=two, three=three,
        four=words.passing[0], left=words.left, right=words.right, expected=expected,
    )  # fmt: skip
    return {script.named(words.name): text}
