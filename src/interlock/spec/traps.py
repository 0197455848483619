"""Why YAML refused a file, in words that mend it. Rule: guess from the offending line, never from the parser alone."""

from __future__ import annotations

import re

import yaml

_QUOTE = "put the text in quotes"


def explain_syntax(error: yaml.YAMLError, text: str) -> tuple[int, int, str, str]:
    """Line and column from 1, what is wrong, and what would be right."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, 1, f"this is not YAML ({error})", "see https://yaml.org"
    mark = error.problem_mark or error.context_mark
    if error.context_mark and "quoted scalar" in (error.context or ""):
        mark = error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines() or [""]
    problem = error.problem or error.context or "it cannot be read"
    if line >= len(lines):
        line, column = len(lines) - 1, len(lines[-1])
    return line + 1, column + 1, f"this is not YAML ({problem})", _hint(error, lines, line)


def flow_pair_trap(braced: bool, key: str | None, bare: bool) -> tuple[str, str] | None:
    """What is odd about one pair inside braces or brackets. `key` is None where it is no text, `bare`
    where no value was written."""
    if key is None:
        return "braces in braces are a mapping to YAML", "put text with {{ }} in quotes"
    if not braced:
        return f"{key}: inside brackets makes a mapping of this item", "put the item in quotes, or in braces"
    if bare and ":" in key:
        name, _, rest = key.partition(":")
        return f"{key} is a key without a value", f"put a space after the colon: {name}: {rest}"
    if bare:
        return f"{key} is a key without a value", "write a list in brackets, or give it a value"
    return None


def _hint(error: yaml.MarkedYAMLError, lines: list[str], line: int) -> str:
    problem = error.problem or ""
    begun = error.context_mark.line if error.context_mark else line
    here = lines[line] if line < len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())] or "'\\t'" in problem:
        return "a tab cannot indent in YAML, use spaces"
    if any(re.search(r"(^|[:\-\[,])\s*\{\{", candidate) for candidate in {here, *lines[begun : begun + 1]}):
        return "put text with {{ }} in quotes"
    above = lines[line - 1] if line else ""
    if "mapping values are not allowed" in problem and re.match(r"\s*(- )?[\w-]+:[^\s/]\S*\s*$", above):
        return f"put a space after the colon on line {line}"
    return _hint_by_problem(problem, error.context or "", here, begun)


def _hint_by_problem(problem: str, context: str, here: str, begun: int) -> str:
    if "flow node" in context:
        return "close the bracket or brace that is open, and put commas between its items"
    if "mapping values are not allowed" in problem:
        return f"{_QUOTE} if it holds a colon and a space, or check the indentation"
    if "alias" in context or "alias" in problem:
        return "put text that begins with * in quotes, such as '*.py'"
    if "anchor" in context or "anchor" in problem:
        return "put text that begins with & in quotes"
    if "cannot start any token" in problem:
        return "put text that begins with @, ` or % in quotes"
    if "quoted scalar" in context:
        return f"close the quotes that begin on line {begun + 1}"
    if "flow" in context:
        closing = "bracket" if "sequence" in context else "brace"
        return f"close the {closing} that opens on line {begun + 1}, and put commas between its items"
    if "simple key" in context or "could not find expected ':'" in problem:
        return "put a colon and a space after the key"
    if "tag" in context or "tag" in problem:
        return "put text that begins with ! in quotes"
    if here.lstrip().startswith("- "):
        return "indent the items of a list alike"
    return "indent keys that belong together alike, and check the line above"
