"""JUnit 4 and 5, as Maven and Gradle run them: a class in the package of another test."""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlock.gates.canary import Words
from interlock.gates.canary.planting import Siblings

_TEXT = """\
{package}import static {asserts}.assertEquals;
import static {asserts}.assertTrue;

import {annotation};

public class {title} {{
    @Test
    public void {one}() {{
        assertEquals("{left}", "{right}");
    }}

    @Test
    public void {two}() {{
        assertTrue("{left}".isEmpty());
    }}

    @Test
    public void {three}() {{
        throw new IllegalStateException("{right}");
    }}

    @Test
    public void {four}() {{
        assertEquals("{left}" + "{right}", "{left}{right}");
    }}
}}
"""
_VERSIONS = {
    "org.junit.jupiter.api.Test": "org.junit.jupiter.api.Assertions",
    "org.junit.Test": "org.junit.Assert",
}


def junit(siblings: Siblings, words: Words) -> Mapping[str, str]:
    for path in siblings.tests[:200]:
        text = siblings.text(path)
        annotation = next((name for name in _VERSIONS if f"import {name};" in text), "")
        if not path.endswith(".java") or not annotation:
            continue
        folder, slash, name = path.rpartition("/")
        title = words.name.title() + ("IT" if name.endswith("IT.java") else "Test")
        package = re.search(r"^package [\w.]+;", text, re.M)
        one, two, three = words.failing
        content = _TEXT.format(
            package=f"{package[0]}\n\n" if package else "", asserts=_VERSIONS[annotation], annotation=annotation,
            title=title, one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right,
        )  # fmt: skip
        return {f"{folder}{slash}{title}.java": content}
    return {}
