"""Rust: an integration test, which is a program of its own."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.gates.canary.planting import Beside
from interlock.gates.canary.words import Words

_TEXT = """\
#[test]
fn {one}() {{
    assert_eq!("{left}".to_string(), "{right}".to_string());
}}

#[test]
fn {two}() {{
    assert!(vec!["{left}"].is_empty());
}}

#[test]
fn {three}() {{
    let found: Option<&str> = None;
    found.expect("{right}");
}}

#[test]
fn {four}() {{
    assert_eq!(["{left}", "{right}"].concat(), "{left}{right}");
}}
"""


def written(beside: Beside, words: Words) -> Mapping[str, str]:
    one, two, three = words.failing
    text = _TEXT.format(one=one, two=two, three=three, four=words.passing[0], left=words.left, right=words.right)
    for path in beside.tests:
        folder, _, _ = path.rpartition("/")
        if folder.rpartition("/")[2] == "tests" and "#[test]" in beside.text(path):
            return {f"{folder}/{words.name}.rs": text}
    return {f"tests/{words.name}.rs": text} if "[package]" in beside.text("Cargo.toml") else {}
