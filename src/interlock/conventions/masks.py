"""Source text without what only looks like code: comments and strings are blanked, at the same length. Pure.

Rule: a small lexer for each language, so that brackets can be counted. Comments become spaces, and strings NUL, so that
both can be told apart. Text that fits no rule is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_RUST = re.compile(
    r"""//[^\n]*|/\*|(?<!\w)(?:b|c)?r(?P<hashes>\#*)".*?"(?P=hashes)|(?:(?<!\w)[bc])?"(?:\\.|[^"\\])*"
    |(?:(?<!\w)b)?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^'\\\n])'""",
    re.S | re.X,
)
_SCRIPT = re.compile(
    r"""//[^\n]*|/\*.*?(?:\*/|\Z)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`
    |(?P<regex>/(?![*/])(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*)""",
    re.S | re.X,
)
_BEFORE_REGEX = re.compile(r"(?:^|[(,=:\[!&|?{};+\-*%<>~^\n]|\b(?:return|typeof|case|in|of|void|delete))[ \t]*\Z")
_BRACKETS = re.compile(r"[{}()\[\]]")
_IN_COMMENT = re.compile(r"/\*|\*/")
_IN_TEMPLATE = re.compile(r"\\.|`|\$\{", re.S)
_NOT_A_LINE_END = re.compile(r"[^\n]")
_OPEN = "{(["
_DEEP = 50


def rust(text: str) -> str:
    """Rust, with strings, raw strings, characters and (nested) comments blanked."""
    return _blanked(text, _RUST, lambda found: _comment_end(text, found.end()) if found[0] == "/*" else found.end())


def script(text: str) -> str:
    """JavaScript or TypeScript, with strings, templates, regular expressions and comments blanked."""
    return _blanked(text, _SCRIPT, lambda found: _script_end(text, found, 0))


def closing(masked: str, at: int) -> int:
    """Behind the bracket that closes the one at `at`; the end of the text where nothing does."""
    depth = 0
    for found in _BRACKETS.finditer(masked, at):
        depth += 1 if found[0] in _OPEN else -1
        if depth == 0:
            return found.end()
    return len(masked)


def _blanked(text: str, token: re.Pattern[str], end_of: Callable[[re.Match[str]], int]) -> str:
    pieces, at = [], 0
    while found := token.search(text, at):
        end = end_of(found)
        inside = text[found.start() : end]
        filler = " " if inside.startswith(("//", "/*")) else "\0"
        pieces += [text[at : found.start()], inside if len(inside) == 1 else _NOT_A_LINE_END.sub(filler, inside)]
        at = end
    return "".join([*pieces, text[at:]])


def _comment_end(text: str, at: int) -> int:
    depth = 1
    for found in _IN_COMMENT.finditer(text, at):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(text)


def _script_end(text: str, found: re.Match[str], depth: int) -> int:
    """Where the token ends. A slash that divides is one sign, and so no token."""
    if found["regex"] and not _BEFORE_REGEX.search(text, max(0, found.start() - 20), found.start()):
        return found.start() + 1
    return _template_end(text, found.end(), depth) if found[0] == "`" else found.end()


def _template_end(text: str, at: int, depth: int) -> int:
    while found := _IN_TEMPLATE.search(text, at):
        if found[0] == "`":
            return found.end()
        at = _inserted_end(text, found.end(), depth + 1) if found[0] == "${" else found.end()
    return len(text)


def _inserted_end(text: str, at: int, depth: int) -> int:
    """Behind the brace that closes an insertion of a template."""
    open_braces = 1
    while at < len(text) and depth < _DEEP:
        token = _SCRIPT.match(text, at)
        if token is not None:
            at = _script_end(text, token, depth)
            continue
        open_braces += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
        if open_braces == 0:
            return at
    return len(text)
