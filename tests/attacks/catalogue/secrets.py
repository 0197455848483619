"""Keys and other secrets."""

from __future__ import annotations

from tests.attacks.catalogue.row import OPEN, Row

ROWS = (
    Row(
        "A key written into a file, a file's name, or the target of a link, so that it is delivered with the branch",
        "`scope`: `secret`, with file, line and the variable's name, never the value",
        tests="tests/contract/test_gates_leaks.py",
        hole="no: a value that was not handed out is no finding beside it",
    ),
    Row(
        "A key that an agent, a gate or a test prints, says in its answer, or leaves in its transcript or session",
        "it is masked (`***`) before anything is written, even if it comes in parts",
        tests="tests/contract/test_masking.py, tests/contract/test_gates_leaks.py",
        hole="no: the value is searched for in all that was written, and without the mask it is there",
    ),
    Row(
        "A key in a name that another finding, a rejected patch or the next brief would show",
        "the same",
        tests="tests/contract/test_gates_leaks.py",
        hole="no: the value is searched for in all that was written, and without the mask it is there",
    ),
    Row(
        "A key in the files of a rejected candidate that a diff, the web page, its API or MCP would show",
        "these files are left out, unless you use `diff --unmasked`",
        tests="tests/contract/test_gates_leaks.py, tests/contract/web/test_withheld.py",
        hole="no: `--unmasked` beside it shows the file",
    ),
    Row(
        "A key that `accept --override` let into the next stages, or a change too large to show, behind an approval",
        "the file stays left out; the person ticks that they have not seen the whole change, and the answer says so",
        tests="tests/contract/web/test_withheld.py",
        hole="no: `--unmasked` beside it shows the file",
    ),
    Row(
        "Another server on 127.0.0.1, such as one of another user, is sent the cookie of the page, since "
        "cookies do not know ports: who reads it can act as you on the page",
        "nothing yet; `serve --new-token` ends a cookie",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "Text of an agent that hides or reorders other text, on a page, in a terminal or over MCP",
        "it is removed, and has a sign in diffs",
        tests="tests/contract/web/test_hostile.py, tests/unit/text/test_cleaning.py",
        hole="no: a table of texts, which one function reads; honest ones beside them pass",
    ),
    Row(
        "A key in base32, base85 or letters of another width or case; with a call or a cast around each part "
        '(`str("...")`, `(char) 0x73`), numbers or words between its lines, or in `od -c`; most but not all '
        "of it; in a log, a dump that comes in several pieces",
        "nothing",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "A key that is compressed, encrypted, reversed, encoded twice, or built from separate variables",
        "nothing",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "A lent login that an attempt replaces: tokens or a key of another account, an entry that names a "
        "server (`wellknown` of opencode)",
        "only tokens are copied back, of existing entries, when a refresh was due, if they expire later and "
        "name no other owner",
        tests="test_credentials.py, test_logins.py",
        hole="no: a refresh that was due is copied back beside it",
    ),
    Row(
        "The same at the time of a refresh, with tokens that name no owner (those of Claude Code) or a forged "
        "one; or directly in your home folder",
        "nothing: the tokens of another account may be copied back; use a key, or a token that needs no refresh",
        full=OPEN,
        none=OPEN,
    ),
    Row(
        "A key that is sent away",
        "nothing here: an agent has the network",
        full=OPEN,
        none=OPEN,
    ),
)
