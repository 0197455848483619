"""vitest: as for jest; its names are imported, which holds whether or not the project has them as globals."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.gates.canary import javascript
from interlock.gates.canary.planting import Beside, Words
from interlock.gates.canary.recipes.jest import text_of


def written(beside: Beside, words: Words) -> Mapping[str, str]:
    script = javascript.likely(beside, r"\b(test|it|describe|suite)\b")
    if script is None:
        return {}
    script = javascript.Script(script.path, f"import 'vitest';\n{script.text}")  # vitest has no other kind
    imports = script.load("{ test, expect }", "vitest")
    return {script.named(words.name): text_of(script, words, imports, javascript.loaded(beside, script))}
