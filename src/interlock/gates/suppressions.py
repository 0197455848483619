"""Comments that switch a linter or a type checker off for a whole file, in each language. Pure.

Rule: what speaks of one line, such as `# noqa: E501` or `eslint-disable-next-line`, is none of these.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from interlock.core.globs import matches_any
from interlock.core.judge_files import LANGUAGES

_I = re.IGNORECASE
# Of Python: in any comment; in a comment that is a line of its own at the margin; there, and before any code.
_ANYWHERE = re.compile(
    r"#\s*(ruff\s*:\s*(noqa|ignore-file|disable)|flake8\s*[:=]\s*noqa|mypy\s*:\s*(?!strict\b)\w|pytype\s*:\s*skip-file"
    r"|pyre-ignore-all-errors|pyre-unsafe|isort\s*:\s*skip_file|pylint\s*:\s*skip-file|ty\s*:\s*ignore-file"
    r"|ruff\s*:\s*isort\s*:\s*skip_file|pyrefly\s*:\s*ignore-(all-)?errors)",
    _I,
)  # fmt: skip
_AT_MARGIN = re.compile(
    r"#\s*(pylint\s*:\s*disable(-all)?\b(?!-next)|pyright\s*:\s*(basic|off|standard|report\w+\s*=))", _I
)
_BEFORE_CODE = re.compile(r"#\s*(type|pyright|ty)\s*:\s*ignore", _I)
_OTHERS = MappingProxyType(
    {
        "node": re.compile(
            r"@ts-nocheck\b|/[*/]\s*(eslint|oxlint|tslint:|jshint|stylelint)-?disable(?!-?(next-)?line)\b"
            r"|/\*\s*eslint\s[^*]*:\s*\[?\s*[\"']?(0\b|off)|biome-ignore-(all|start)\b|deno-lint-ignore-file\b|/\*\s*jshint\s+ignore:start"
            r"|tslint:disable(?!-(next-)?line)\b"
        ),
        "go": re.compile(
            r"//\s*lint:file-ignore\b|//\s*revive:disable(?!-(next-)?line)\b|^package\s.*//\s*nolint\b", re.MULTILINE
        ),
        "rust": re.compile(r"^\s*#!\[\s*(cfg_attr\s*\(.*)?\b(allow|expect)\b", re.MULTILINE),
        "java": re.compile(
            r"CHECKSTYLE\s*:\s*OFF|spotless:off|PMD\s*:\s*OFF|detekt\.\w+\s*:\s*off|@file:\s*\[?\s*Suppress\b|noinspection\s+ALL"
            r"|@Suppress(Warnings|FBWarnings)?\s*\([^)]*\"all\"[^)]*\)(\s*@[\w.]+(\([^)]*\))?|\s*\b(public|protected|private|"
            r"internal|abstract|open|final|static|sealed|non-sealed|strictfp|data)\b)*\s*\b(class|interface|enum|record|object)\b",
            _I,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Suppression:
    line: int
    text: str  # as it stands there, without what surrounds it
    what: str = "switches checks off for a whole file: take it out"


def language_of(path: str) -> str:
    """The language whose source the file is; empty for any other file."""
    return next((name for name, language in LANGUAGES.items() if matches_any(language.sources, path)), "")


def found(language: str, text: str) -> tuple[Suppression, ...]:
    """Those of a file's text, in their order."""
    if language == "python":
        return tuple(_in_python(text))
    pattern = _OTHERS.get(language)
    if pattern is None:
        return ()
    lines = text.split("\n")
    starts = dict.fromkeys(text.count("\n", 0, match.start()) for match in pattern.finditer(text))
    plain = [Suppression(number + 1, lines[number].strip() or lines[number]) for number in starts]
    return (*plain, *(_above_the_package(lines) if language == "go" else ()))


def _in_python(text: str) -> Iterator[Suppression]:
    is_code, last = False, 0
    aside = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.NEWLINE)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            last = token.start[0]
            is_code = is_code or token.type not in aside
            at_margin = token.type == tokenize.COMMENT and token.start[1] == 0
            if token.type == tokenize.COMMENT and (
                _ANYWHERE.match(token.string)
                or (at_margin and _AT_MARGIN.match(token.string))
                or (at_margin and not is_code and _BEFORE_CODE.match(token.string))
            ):
                yield Suppression(token.start[0], token.string.strip())
    except (tokenize.TokenError, SyntaxError):  # it does not compile, and nobody knows what a linter makes of it
        for number, line in enumerate(text.split("\n"), 1):
            if number > last and _ANYWHERE.search(line):
                yield Suppression(number, line.strip())


def _above_the_package(lines: list[str]) -> Iterator[Suppression]:
    for number, line in enumerate(lines[:-1], 1):
        if lines[number].startswith("package ") and re.match(r"//\s*nolint\b", line):
            yield Suppression(number, line.strip())
