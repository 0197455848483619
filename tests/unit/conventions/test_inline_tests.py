"""Tests inside source files: blocks are found, count as kept, and are laid into another version of the file."""

from __future__ import annotations

import pytest

from interlock.conventions.inline_tests import Block, Documented, blocks, laid, lost, only_tests_differ

DOCTESTS = Documented(docstrings=True, globs=("*.md",))

ADD = "pub fn add(a: i64, b: i64) -> i64 {\n    a + b\n}\n"
TESTS = """\
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum() {
        assert_eq!(add(2, 3), 5);
    }
}
"""
WORSE = TESTS.replace("5)", "-1)")
MORE = TESTS.replace(
    "    }\n}\n", "    }\n\n    #[test]\n    fn zero() {\n        assert_eq!(add(0, 0), 0);\n    }\n}\n"
)
DOC = "/// Adds.\n///\n/// ```\n/// assert_eq!(app::add(2, 3), 5);\n/// ```\n"


def names(path: str, text: str) -> list[str]:
    return [block.name for block in blocks(path, text, DOCTESTS)]


def gone(path: str, old: str, new: str, *, may_grow: bool = False) -> list[str]:
    found: list[tuple[Block, ...]] = [blocks(path, text, DOCTESTS) for text in (old, new)]
    return [block.name for block in lost(*found, may_grow=may_grow)]


RUST = [
    pytest.param(TESTS, ["mod tests"], id="a module"),
    pytest.param("#[test]\nfn one() {}\n", ["fn one"], id="a function"),
    pytest.param("#[tokio::test(flavor = \"x\")]\n#[ignore]\nasync fn one() {}\n", ["fn one"], id="of tokio"),
    pytest.param("#[rstest]\n#[case(1)]\nfn one(#[case] a: u8) {}\n", ["fn one"], id="of rstest"),
    pytest.param('#[cfg(all(test, feature = "x"))]\npub(crate) mod help { }\n', ["mod help"], id="a condition"),
    pytest.param("#[cfg(test)]\nuse a::{b, c};\n", ["use a::{b, c};"], id="an import"),
    pytest.param("#[cfg(test)]\nconst A: [u8; 2] = [1; 2];\nfn b() {}\n", ["const A: [u8"], id="a constant"),
    pytest.param("#[cfg(test)]\nmod far;\n", ["mod far"], id="a module elsewhere"),
    pytest.param("#![cfg(test)]\nfn help() {}\n", ["#![cfg(test)]"], id="a whole file"),
    pytest.param("#[cfg(not(test))]\nfn one() {}\n", [], id="what is not for tests"),
    pytest.param('#[cfg(feature = "test")]\nfn one() {}\n', [], id="a feature of that name"),
    pytest.param("#[derive(Debug)]\nstruct Test;\n#[inline]\nfn test() {}\n", [], id="another attribute"),
    pytest.param('const A: &str = "#[test]\nfn one() {}";\n', [], id="a string"),
    pytest.param('const A: &str = r#"" #[test]\nfn one() {}"#;\n', [], id="a raw string"),
    pytest.param("/* /* */ #[test]\nfn one() {} */\n// #[test] fn two() {}\n", [], id="a comment"),
    pytest.param("#[test]\nfn one(a: &'static u8) { let b = '}'; let d = \"}\"; }\n", ["fn one"], id="braces as text"),
    pytest.param(DOC, ["doc example `assert_eq!(app::add(2, 3), 5);`"], id="a doc example"),
    pytest.param("//! ```rust,no_run\n//! a();\n//! ```\n", ["doc example `a();`"], id="of the crate"),
    pytest.param("/** Adds.\n * ```\n * a();\n * ```\n */\n", ["doc example `a();`"], id="in a block"),
    pytest.param("/// ```text\n/// a\n/// ```\n/// ```ignore\n/// a\n/// ```\n", [], id="no example"),
    pytest.param('const A: &str = "\n/// ```\n/// a();\n/// ```\n";\n', [], id="an example in a string"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), RUST)
def test_blocks_of_rust(text: str, found: list[str]) -> None:
    assert names("src/lib.rs", text) == found


def test_a_block_ends_where_its_item_does() -> None:
    text = "#[test]\nfn one() {\n    let b = '}';\n}\nfn two() {}\n"
    block = blocks("src/lib.rs", text)[0]
    assert text[block.start : block.end].endswith("'}';\n}")


VITEST = "export const add = 1;\n\nif (import.meta.vitest) {\n  const { it } = import.meta.vitest;\n"
VITEST += "  it('a', () => {});\n}\n"


def test_blocks_of_vitest() -> None:
    assert names("src/a.ts", VITEST + "export const b = `${`}`}`;\n") == ["import.meta.vitest"]
    assert names("src/a.ts", "const a = 'import.meta.vitest';\n// import.meta.vitest\n") == []
    loose = "const v = import.meta.vitest;\nv?.it('a', () => {});\n"
    assert gone("src/a.ts", loose, loose.replace("'a'", "'b'")) == ["import.meta.vitest"]


def test_a_slash_that_divides_hides_nothing() -> None:
    text = "const a = b / c;\nconst d = /[/'{]/.test(a);\n" + VITEST
    assert [block.lines[-1] for block in blocks("src/a.js", text)] == ["}"]


PYTHON = 'def add(a, b):\n    """Adds.\n\n    >>> add(2, 3)\n    5\n    """\n    return a + b\n'
KEPT = [
    pytest.param("src/lib.rs", ADD + TESTS, ADD.replace("a + b", "b + a") + TESTS, id="code around it"),
    pytest.param("src/lib.rs", ADD + TESTS, TESTS + ADD, id="moved"),
    pytest.param("src/lib.rs", DOC + ADD, f"mod a {{\n{DOC}{ADD}}}\n".replace("///", "    ///"), id="indented"),
    pytest.param("src/lib.rs", ADD + TESTS, ADD + TESTS + TESTS.replace("mod tests", "mod more"), id="one beside"),
    pytest.param("src/lib.rs", DOC, DOC.replace("Adds", "Sums"), id="words around an example"),
    pytest.param("src/lib.rs", DOC, DOC + "///\n/// ```\n/// more();\n/// ```\n", id="an example more"),
    pytest.param("a.py", PYTHON, PYTHON.replace("Adds", "Sums").replace("a + b", "b + a"), id="words of a docstring"),
    pytest.param("a.py", PYTHON, PYTHON.replace("    5\n", "    5\n    >>> add(0, 0)\n    0\n"), id="one below"),
    pytest.param("a.md", "A\n\n>>> a\n1\n", "B\n\n>>> a\n1\n\nC\n\n>>> b\n2\n", id="a document"),
    pytest.param("src/a.js", VITEST, VITEST.replace("add = 1", "add = 2"), id="vitest"),
]
LOST = [
    pytest.param("src/lib.rs", ADD + TESTS, ADD + WORSE, id="an assertion"),
    pytest.param("src/lib.rs", ADD + TESTS, ADD, id="taken out"),
    pytest.param("src/lib.rs", ADD + TESTS, ADD + MORE, id="grown without leave"),
    pytest.param("src/lib.rs", ADD + TESTS, ADD + TESTS.replace("(test)", "(all(test, windows))"), id="a condition"),
    pytest.param("src/lib.rs", ADD + TESTS, f"{ADD}/*\n{TESTS}*/\n", id="in a comment"),
    pytest.param("src/lib.rs", DOC, DOC.replace("```\n/// assert", "```no_run\n/// assert"), id="a flag"),
    pytest.param("src/lib.rs", DOC, DOC.replace("```\n/// assert", "```ignore\n/// assert"), id="ignored"),
    pytest.param("src/lib.rs", DOC, DOC.replace("5)", "-1)"), id="an example of Rust"),
    pytest.param("a.py", PYTHON, PYTHON.replace("    5\n", "    -1\n"), id="what a docstring expects"),
    pytest.param("a.py", PYTHON, PYTHON.replace("    >>> add", "    >>> add = 5\n    >>> add"), id="an example above"),
    pytest.param("a.py", PYTHON, PYTHON.replace("3)\n", "3)  # doctest: +SKIP\n"), id="skipped"),
    pytest.param("a.md", ">>> a\n1\n", ">>> a\n2\n", id="a document"),
    pytest.param("src/a.js", VITEST, VITEST.replace("'a'", "'b'"), id="vitest"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "old", "new"), KEPT)
def test_what_is_kept(path: str, old: str, new: str) -> None:
    assert blocks(path, old, DOCTESTS)
    assert gone(path, old, new) == []


@pytest.mark.parametrize(("path", "old", "new"), LOST)
def test_what_is_lost(path: str, old: str, new: str) -> None:
    assert gone(path, old, new)


def test_a_block_may_get_lines_where_the_old_one_is_put_back() -> None:
    assert gone("src/lib.rs", ADD + TESTS, ADD + MORE, may_grow=True) == []
    assert gone("src/lib.rs", ADD + TESTS, ADD + WORSE, may_grow=True) == ["mod tests"]


def test_doc_examples_run_only_where_the_project_says_so() -> None:
    assert blocks("a.py", PYTHON) == ()
    assert blocks("a.md", ">>> a\n1\n") == ()


def test_a_document_that_a_source_of_rust_includes() -> None:
    text = "# App\n\n```toml\na = 1\n```\n\n```\nassert!(true);\n```\n"
    assert [block.name for block in blocks("README.md", text, Documented(of_rust=("README.md",)))] == [
        "doc example `assert!(true);`"
    ]
    assert blocks("OTHER.md", text, Documented(of_rust=("README.md",))) == ()


def test_tests_of_another_version_are_laid_into_a_source() -> None:
    assert laid("src/lib.rs", ADD + TESTS, ADD + MORE) == ADD + MORE
    assert laid("src/lib.rs", ADD + MORE + "fn end() {}\n", TESTS) == ADD + TESTS + "fn end() {}\n"
    assert laid("src/lib.rs", ADD, ADD + "\n" + TESTS) == ADD + "\n" + TESTS
    assert laid("src/lib.rs", ADD + "\n" + TESTS, ADD).strip() == ADD.strip()


def test_the_tests_of_two_modules_are_told_apart() -> None:
    both = f"mod a {{\n{TESTS}}}\nmod b {{\n{MORE}}}\n"
    one = f"mod b {{\n{TESTS}}}\n"
    assert laid("src/lib.rs", one, both) == f"mod b {{\n{MORE}}}\n"


def test_whether_tests_alone_differ() -> None:
    assert only_tests_differ("src/lib.rs", ADD, f"{ADD}\n{TESTS}")
    assert only_tests_differ("src/lib.rs", ADD + TESTS, ADD + MORE)
    assert not only_tests_differ("src/lib.rs", ADD + TESTS, ADD.replace("+", "-") + TESTS)
