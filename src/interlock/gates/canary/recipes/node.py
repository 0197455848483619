"""node:test: each file is a process of its own, so this one loads what the others load."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.gates.canary import javascript
from interlock.gates.canary.planting import Beside, Words

# What the project keeps open would keep this process too; two seconds after its tests it ends.
_TEXT = """\
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


def written(beside: Beside, words: Words) -> Mapping[str, str]:
    script = javascript.likely(beside, r"['\"](node:)?test['\"]")
    if script is None:
        return {}
    one, two, three = words.failing
    imports = script.load("{ test, after }", "node:test") + script.load("assert", "node:assert")
    text = _TEXT.format(
        imports=imports, one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        loaded=", ".join(javascript.loaded(beside, script)),
    )  # fmt: skip
    return {script.named(words.name): text}
