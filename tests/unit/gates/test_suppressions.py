"""What switches a checker off for a whole file, and what speaks of one line."""

import pytest

from interlock.gates.suppressions import found, language_of

WHOLE = {
    "python": [
        "# ruff: noqa", "#ruff: noqa: F401", "# flake8: noqa", "x = 1  # flake8: noqa", "# mypy: ignore-errors",
        "# mypy: disable-error-code=arg-type", "# type: ignore", "# type: ignore[attr-defined]", "# pylint: skip-file",
        "# pylint: disable=all", "# pyright: basic", "# pyright: ignore", "# pyright: reportMissingImports=false",
        "# isort: skip_file", "# pytype: skip-file", "# RUFF: NOQA",
        "# ruff: isort: skip_file", "# pyrefly: ignore-errors", "# ty: ignore",
    ],
    "node": [
        "// @ts-nocheck", "/* eslint-disable */", "/* eslint-disable no-console, no-undef */",
        "/* eslint no-undef: 0 */", '/* eslint no-undef: "off" */', "// biome-ignore-all lint: no",
        "/* tslint:disable */",
        "/* oxlint-disable */", "// biome-ignore-start lint: no", "// deno-lint-ignore-file",
    ],
    "go": ["//nolint\npackage a", "package a //nolint:errcheck", "//lint:file-ignore U1000 no"],
    "rust": ["#![allow(dead_code)]", "#![cfg_attr(test, allow(unused))]", "#![expect(unused)]"],
    "java": [
        "// CHECKSTYLE:OFF", "// spotless:off",
        '@SuppressWarnings("all")\npublic final class A {}', '@file:Suppress("x")',
        '@SuppressWarnings({"unchecked", "all"})\n@Deprecated(since = "1")\nclass A {}', "//noinspection ALL",
    ],
}  # fmt: skip
ONE_LINE = {
    "python": [
        "import os  # noqa: F401", "x = f()  # type: ignore[arg-type]", "x = 1\n# type: ignore", "# mypy: strict",
        "def f():\n    # pylint: disable=no-member\n    pass", "x = 1  # pylint: disable=invalid-name",
        "# pylint: disable-next=invalid-name", "x = f()  # pyright: ignore", "# pyright: strict", 'x = "# ruff: noqa"',
        '"""\n# mypy: ignore-errors\n"""', "# a note on ruff: what noqa is",
    ],
    "node": [
        "// eslint-disable-next-line no-undef", "f(); // eslint-disable-line", "// @ts-expect-error", "// @ts-ignore",
        "// biome-ignore lint: no", "// tslint:disable-next-line", "/* eslint-enable */", "/* eslint no-undef: 2 */",
    ],
    "go": ["package a\n\n//nolint:errcheck\nfunc f() {}", "f() //nolint"],
    "rust": ["#[allow(dead_code)]\nfn f() {}", "#![deny(warnings)]"],
    "java": [
        '@SuppressWarnings("unchecked")\nclass A {}', '@SuppressWarnings("all")\nvoid f() {}\n\nclass B {}',
        '@Suppress("unused") val a = 1',
    ],
}  # fmt: skip


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in WHOLE.items() for text in texts])
def test_of_a_whole_file(language: str, text: str) -> None:
    (item,) = found(language, f"{text}\n")
    assert item.line == 1
    assert item.text


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in ONE_LINE.items() for text in texts])
def test_of_one_line(language: str, text: str) -> None:
    assert found(language, f"{text}\n") == ()


def test_a_file_that_does_not_compile_is_not_looked_into_further() -> None:
    assert found("python", "# ruff: noqa\ndef (\n    '''") == found("python", "# ruff: noqa\n")


def test_the_language_of_a_file() -> None:
    assert [language_of(path) for path in ("a/b.py", "a.tsx", "a.go", "a.rs", "A.java", "README.md")] == [
        "python", "node", "go", "rust", "java", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "x = \"\u2028'''\"\n# ruff: noqa\n"),
        ("python", "x = '''\n# mypy: ignore-errors\n"),
        ("python", "# ruff: disable[F401, F841]\n"),
        ("node", "/* eslint semi: 2, no-undef: 0 */\n"),
        ("node", '/* eslint "no-undef": "off" */\n'),
        ("node", "/*\neslint-disable\n*/\n"),
        ("rust", "#![\nallow(dead_code)]\n"),
    ],
)
def test_what_is_spread_or_cannot_be_read_is_found(language: str, text: str):
    assert found(language, text)
