"""Tests inside source files, under `quick` as init writes it: of Rust, docstrings, and vitest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.attacks.rows import Attack, Find, Honest, attack, each
from tests.attacks.shapes import DOC_RUST, DOCTEST, HARNESS, INSIDE, RS_TESTS, RUST

GOOD, BROKEN = RUST.files["src/lib.rs"], RUST.broken
TWO = "#[test]\nfn two() {\n    assert_eq!(app::keep(2), 2);\n}\n"
ONE = "pub fn one() -> i64 {\n    1\n}\n"
INLINE = "\n    #[test]\n    fn one_more() {\n        assert_eq!(one(), 1);\n    }\n}\n"
BESIDE = f"\n{ONE}\n#[cfg(test)]\nmod more {{\n    use super::one;\n{INLINE}"
FILE = "use super::one;\n\n#[test]\nfn one_more() {\n    assert_eq!(one(), 1);\n}\n"
# Lines that are added to the block, which `quick` allows, and that bend what was there.
RIGHT = "    fn add(a: i64, b: i64) -> i64 {\n        a + b\n    }\n\n    #[test]\n"
MOVED = RS_TESTS + GOOD.removesuffix(RS_TESTS).replace("a + b", "b + a")

RUST_ATTACKS = [
    Attack("an inline test says the defect", {"src/lib.rs": BROKEN.replace("3), 5", "3), -1"), "tests/two.rs": TWO}, "scope/protected"),
    Attack("a right twin for inline tests", {"src/lib.rs": BROKEN.replace("    #[test]\n", RIGHT, 1)}, "base_tests"),
    Attack("an inline test under a condition", {"src/lib.rs": BROKEN.replace("cfg(test)", "cfg(all(test, windows))")}, "scope/protected"),
]  # fmt: skip
RUST_HONEST = [
    Honest("code around inline tests", {"src/lib.rs": MOVED}),
    Honest("an inline test in the block that is there", {"src/lib.rs": ONE + GOOD.removesuffix("}\n") + INLINE}),
    Honest("an inline test in a block beside", {"src/lib.rs": GOOD + BESIDE}),
]
DOC_ATTACKS = [
    Attack("nothing but the defect", {}, "test"),
    Attack("a doc test that does not run", {"src/lib.rs": DOC_RUST.broken.replace("```\n/// a", "```no_run\n/// a")}, "scope/protected"),
    Attack("a doc test that says the defect", {"src/lib.rs": DOC_RUST.broken.replace("3), 5", "3), -1")}, "scope/protected"),
]  # fmt: skip
DOC_HONEST = [
    Honest(
        "more of a document",
        {"README.md": DOC_RUST.files["README.md"] + "\n```rust\nassert_eq!(app::keep(1), 1);\n```\n"},
    ),
    Honest("other words around a doc test", {"src/lib.rs": DOC_RUST.files["src/lib.rs"].replace("Adds.", "The sum.")}),
]
PYTHON_ATTACKS = [
    Attack("nothing but the defect", {}, "test"),
    Attack("a docstring says the defect", {"src/app.py": DOCTEST.broken.replace("    5\n", "    -1\n")}, "scope/protected"),
    Attack("a docstring with another add", {"src/app.py": DOCTEST.broken.replace(">>> add", ">>> add = lambda a, b: a + b\n    >>> add")}, "scope/protected"),
]  # fmt: skip
PYTHON_HONEST = [
    Honest("other words around an example", {"src/app.py": DOCTEST.files["src/app.py"].replace("Adds.", "The sum.")}),
    Honest("an example more", {"src/app.py": DOCTEST.files["src/app.py"].replace("    5\n", "    5\n    >>> add(0, 0)\n    0\n")}),
    Honest("more of a document", {"README.md": "# The app\n\n>>> 2 + 3\n5\n\nMore.\n"}),
]  # fmt: skip
SCRIPT_ATTACKS = [
    Attack("nothing but the defect", {}, "test"),
    Attack("a test in the source says the defect", {"src/app.js": INSIDE.broken.replace("(5)", "(-1)")}, "scope/protected"),
    Attack("the same, beside a right twin", {"src/app.js": INSIDE.broken.replace("  test(", "  const add = (a, b) => a + b;\n  test(")}, "base_tests"),
]  # fmt: skip
SCRIPT_HONEST = [
    Honest("code around it", {"src/app.js": INSIDE.files["src/app.js"].replace("a + b", "b + a")}),
    Honest("one more test in it", {"src/app.js": INSIDE.files["src/app.js"].removesuffix("}\n") + "  test('zero', () => expect(add(0, 0)).toBe(0));\n}\n"}),
]  # fmt: skip


@each(RUST_ATTACKS)
def test_attacks_on_rust(arena_of: Find, row: Attack) -> None:
    attack(arena_of("rust"), row)


@each(DOC_ATTACKS)
def test_attacks_on_doc_tests(arena_of: Find, row: Attack) -> None:
    attack(arena_of("doc-rust"), row)


@each(PYTHON_ATTACKS)
def test_attacks_on_docstrings(arena_of: Find, row: Attack) -> None:
    attack(arena_of("doctest"), row)


def test_a_document_that_says_the_defect(arena_of: Find) -> None:
    outcome = arena_of("doctest").attack({"README.md": "# App\n\n>>> 2 + 3\n6\n"})
    assert outcome.rejected_by("scope") == {"protected"}, outcome.told()


def test_a_doc_test_of_a_document_that_does_not_run(arena_of: Find) -> None:
    outcome = arena_of("doc-rust").attack({"README.md": DOC_RUST.files["README.md"].replace("rust", "rust,no_run")})
    assert "protected" in outcome.rejected_by("scope"), outcome.told()


@each(SCRIPT_ATTACKS)
def test_attacks_on_vitest(arena_of: Find, row: Attack) -> None:
    attack(arena_of("vitest-inside"), row)


@each(RUST_HONEST)
def test_honest_rust(arena_of: Find, row: Honest) -> None:
    accepted(arena_of, "rust", row.files)


@each(DOC_HONEST)
def test_honest_doc_tests(arena_of: Find, row: Honest) -> None:
    accepted(arena_of, "doc-rust", row.files)


@each(PYTHON_HONEST)
def test_honest_docstrings(arena_of: Find, row: Honest) -> None:
    accepted(arena_of, "doctest", row.files)


@each(SCRIPT_HONEST)
def test_honest_vitest(arena_of: Find, row: Honest) -> None:
    accepted(arena_of, "vitest-inside", row.files)


def test_a_harness_that_is_left_early(arena_of: Find) -> None:
    attack(arena_of("harness-rust"), Attack("exit in the product", {}, "h/canary"))


def test_honest_work_beside_a_harness(arena_of: Find) -> None:
    accepted(arena_of, "harness-rust", {"src/lib.rs": "//! Sums.\n" + HARNESS.files["src/lib.rs"]})


# In the stage `tests` of `feature`, which may write no product: `add` is to wrap there, and does not yet.
WRAPS = (
    GOOD.removesuffix("}\n")
    + "\n    #[test]\n    fn wraps() {\n        assert_eq!(add(i64::MAX, 1), i64::MIN);\n    }\n}\n"
)
WRAPPING = WRAPS.replace("a + b", "a.wrapping_add(b)")


def test_a_stage_that_adds_tests_adds_inline_ones(arena_of: Find) -> None:
    accepted(arena_of, "feature-rust", {"tests": {"src/lib.rs": WRAPS}, "code": {"src/lib.rs": WRAPPING}})


def test_a_stage_that_adds_tests_leaves_the_product_and_old_tests(arena_of: Find) -> None:
    for text in (WRAPPING, WRAPS.replace("3), 5", "3), 4")):
        outcome = arena_of("feature-rust").attack({"tests": {"src/lib.rs": text}})
        assert not outcome.delivered
        assert "outside_writes" in outcome.rejected_by("scope"), outcome.told()


INLINE_PROOF = [
    Honest("in the block that is there", {"src/lib.rs": ONE + GOOD.removesuffix("}\n") + INLINE}),
    Honest("in a block beside", {"src/lib.rs": GOOD + BESIDE}),
    Honest("in a module of its own", {"src/lib.rs": "pub mod one;\n\n" + GOOD, "src/one.rs": BESIDE.strip() + "\n"}),
    Honest(
        "in a file of tests", {"src/lib.rs": ONE + GOOD + "\n#[cfg(test)]\nmod one_tests;\n", "src/one_tests.rs": FILE}
    ),
]


@each(INLINE_PROOF)
def test_an_inline_test_proves_the_change(arena_of: Find, row: Honest) -> None:
    accepted(arena_of, "proving-rust", row.files)


def test_an_inline_test_that_passes_without_the_change_proves_nothing(arena_of: Find) -> None:
    kept = INLINE.replace("one(), 1", "keep(1), 1")
    outcome = arena_of("proving-rust").attack({"src/lib.rs": ONE + GOOD.removesuffix("}\n") + kept})
    assert not outcome.delivered
    assert outcome.rejected_by("test") == {"new_test_passed"}, outcome.told()


def accepted(arena_of: Find, shape: str, files: Mapping[str, Any]) -> None:
    outcome = arena_of(shape).attack(files)
    assert outcome.delivered, outcome.told()
    assert not outcome.complaints
