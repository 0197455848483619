"""Go: a test file in each package with tests, since each package is a program of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlock.gates.canary import Words
from interlock.gates.canary.planting import Siblings

_PACKAGES_MAX = 100
_TEXT = """\
package {package}

import "testing"

func Test{one}(t *testing.T) {{
	if found := "{left}"; found != "{right}" {{
		t.Errorf("%s is not {right}", found)
	}}
}}

func Test{two}(t *testing.T) {{
	var found []string
	if len(found) == 0 {{
		t.Fatal("{left}")
	}}
}}

func Test{three}(t *testing.T) {{
	t.Log("{right}")
	t.FailNow()
}}

func Test{four}(t *testing.T) {{
	if "{left}"+"{right}" != "{left}{right}" {{
		t.Fail()
	}}
}}
"""


def go(siblings: Siblings, words: Words) -> Mapping[str, str]:
    """A file with a build constraint is not always built, and so it is no model."""
    files: dict[str, str] = {}
    for path in siblings.tests:
        folder = path.rpartition("/")[0]
        target = f"{folder}/{words.name}_test.go".lstrip("/")
        package = re.search(r"^package (\w+)", siblings.text(path), re.M)
        if package is None or target in files or re.search(r"^//( \+build|go:build)", siblings.text(path), re.M):
            continue
        names = dict(zip(("one", "two", "three", "four"), (*words.failing, *words.passing), strict=True))
        titles = {key: word.title() for key, word in names.items()}
        files[target] = _TEXT.format(package=package[1], left=words.left, right=words.right, **titles)
    return dict(list(files.items())[:_PACKAGES_MAX])
