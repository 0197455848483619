"""jest: each file is a world of its own, so this one loads what the others load where jest is told to end."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.gates.canary import javascript
from interlock.gates.canary.planting import Beside, Words

TEXT = """\
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


def written(beside: Beside, words: Words) -> Mapping[str, str]:
    script = javascript.likely(beside, r"\b(test|it|describe)\b")
    if script is None:
        return {}
    explicit = "@jest/globals" in script.text
    imports = script.load("{ test, expect }", "@jest/globals") if explicit else ""
    ends = "forceExit" in " ".join(beside.command.words)  # else what a module keeps open would keep jest
    loaded = javascript.loaded(beside, script) if ends else ()
    return {script.named(words.name): text_of(script, words, imports, loaded)}


def text_of(script: javascript.Script, words: Words, imports: str, loaded: tuple[str, ...]) -> str:
    one, two, three = words.failing
    how = "import" if script.modern else "require"
    loads = ", ".join(f"() => {how}({path})" for path in loaded)
    return TEXT.format(
        imports=imports, one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        loads=loads,
    )  # fmt: skip
