"""In which forms the value of a secret is found, and which values are looked for."""

from __future__ import annotations

import base64
import html
import itertools
import json
import re
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.conventions.secret_forms import Stream, handed_out, is_telling, parts, spans, starred, to_find, to_mask
from interlock.core.pipeline import AgentSpec, CommandLine, Gate, GateKind, Pipeline, Setup, Stage

KEY = 'sk-very/secret+01"23\\45&6 789é'
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
FORMS = to_find([("KEY", KEY)])
ENCODED = {
    "plain": KEY,
    "json": json.dumps(KEY),
    "json in json": json.dumps(json.dumps({"key": KEY})),
    "url": urllib.parse.quote(KEY, safe=""),
    "url of a path": urllib.parse.quote(KEY),
    "url of a form": urllib.parse.quote_plus(KEY),
    "url in small letters": re.sub("%..", lambda found: found[0].lower(), urllib.parse.quote(KEY, safe="")),
    "html": html.escape(KEY),
    "hex": KEY.encode().hex(),
    "HEX": KEY.encode().hex(" ").upper(),
    "bytes of C": "".join(f"\\x{byte:02x}" for byte in KEY.encode()),
    "numbers": ", ".join(f"0x{byte:02X}" for byte in KEY.encode()),
    "decimal bytes": str(list(KEY.encode())),
    "decimal bytes of Rust": ", ".join(f"{byte}u8" for byte in KEY.encode()),
    "bytes of Rust": ", ".join(f"0x{byte:02x}u8" for byte in KEY.encode()),
    "letters of Rust": "".join(f"\\u{{{byte:x}}}" for byte in KEY.encode()),
    "letters of C": "".join(f"\\U{byte:08x}" for byte in KEY.encode()),
    "octal": "".join(f"\\{byte:03o}" for byte in KEY.encode()),
    "octal of a shell": "$'" + "".join(f"\\{byte:o}" for byte in KEY.encode()) + "'",
    "entities": "".join(f"&#{byte};" for byte in KEY.encode()),
    "hexadecimal entities": "".join(f"&#x{byte:x};" for byte in KEY.encode()),
    "a blank of no width": f"{KEY[:9]}\u200b{KEY[9:]}",
    "a blank that breaks no line": f"{KEY[:9]}\u00a0{KEY[9:]}",
    "curly quotes": f"{KEY[:9]}\u201d \u201c{KEY[9:]}",
    "a colour": f"{KEY[:9]}\x1b[0;31m{KEY[9:]}",
    "strings of other kinds": f"('{KEY[:9]}'\n    f'{KEY[9:18]}' + rb'{KEY[18:]}')",
    "base64 of UTF-16": base64.b64encode(KEY.encode("utf-16")).decode(),
    "base64 of UTF-16 the other way": base64.b64encode(KEY.encode("utf-16-be")).decode(),
    "concatenated": f'"{KEY[:9]}" +\n        "{KEY[9:]}"',
    "joined": f'"".join(["{KEY[:5]}", "{KEY[5:12]}", "{KEY[12:]}"])',
    "over lines of comments": f"# {KEY[:9]}\n# {KEY[9:]}",
    "continued": f"{KEY[:9]}\\\n{KEY[9:]}",
    "two bytes a letter": KEY[:22].encode("utf-16-le").decode("latin-1"),
    **{
        f"base64 at {at}": base64.b64encode(("?>?" * 9)[: 24 + at].encode() + KEY.encode() + b">?").decode()
        for at in range(3)
    },
    "base64 over lines": base64.encodebytes(b"user:pass " * 5 + KEY.encode()).decode(),
    "base64 in JSON": json.dumps(base64.encodebytes(b"user:pass " * 5 + KEY.encode()).decode()),
    "base64 of URLs": base64.urlsafe_b64encode(b"??>>" + KEY.encode()).decode(),
}


# Found where it is whole: in logs a value that such a dump spreads over two chunks is not.
DUMPS = {
    "hexdump -C": "".join(
        f"{at:08x}  {KEY.encode()[at : at + 16].hex(' ')}  |{'.' * 16}|\n" for at in range(0, len(KEY.encode()), 16)
    ),
    "xxd": "".join(
        f"{at:08x}: {KEY.encode()[at : at + 16].hex(' ', 2)}  {'a' * 16}\n" for at in range(0, len(KEY.encode()), 16)
    ),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in {**ENCODED, **DUMPS}.items()])
def test_it_is_found_as(text: str) -> None:
    forms = to_find([("KEY", KEY[:22])]) if "\0" in text else FORMS
    content = b"before = 1\n" + text.encode("latin-1" if "\0" in text else "utf-8") + b"\nafter = 2\n"
    (found,) = spans(content, forms)
    assert found.name == "KEY"
    assert found.start > content.index(b"\n")
    assert found.end < content.rindex(b"\nafter") + 1
    assert KEY[:9].encode() not in b"".join(map(starred, parts(content, to_mask([KEY, KEY[:22]]))))


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("postgres://ann:hunter2-and-3@db.example.org/a", "hunter2-and-3"),
        (f"Bearer {JWT}", JWT),
        (
            "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCAAAA\n-----",
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCAAAA",
        ),
        (
            '{"type": "x", "key": "-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw"}',
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw",
        ),
    ],
)
def test_what_is_secret_by_itself_in_a_longer_value(value: str, part: str) -> None:
    assert spans(f"key = '{part}'".encode(), to_find([("KEY", value)]))
    others = f"-----BEGIN KEY-----, Bearer, db.example.org, type, {JWT.partition('.')[0]}"
    assert not spans(others.encode(), to_find([("KEY", value)]))


@pytest.mark.parametrize(
    "value",
    [
        "true",
        "s3cr3t!",
        "postgres",
        "Production",
        "production-x"[:10],
        "LOCALHOST",
        "20260101",
        "5432",
        "aaaaaaaa1",
        "not-needed",
        "local-dev",
        "No_Key_Required",
        "NO_KEY_REQUIRED",
        "no-api-key-required",
        "",
    ],
)
def test_what_may_stand_anywhere_is_not_looked_for(value: str) -> None:
    assert not is_telling(value)
    assert not to_find([("KEY", value)])


@pytest.mark.parametrize(
    "value", ["s3cr3t-p@ss", "correct horse battery staple", "abcdefghijklmnop", "4929123412341234"]
)
def test_what_tells_is_looked_for(value: str) -> None:
    assert spans(f"a = {value}".encode(), to_find([("KEY", value)]))


def test_few_letters_are_found_as_they_are_and_not_with_others_between_them() -> None:
    forms = to_find([("KEY", "local!develop")])
    assert spans(b"key = local!develop", forms)
    assert spans(base64.b64encode(b"local!develop"), forms)
    assert not spans(b"what is local develops", forms)


def test_most_signs_and_no_letters_are_found_as_they_are() -> None:
    assert spans(b"x#$%^&*()!@x", to_find([("KEY", "#$%^&*()!@")]))
    assert not spans(b"x#$%^&* ()!@x", to_find([("KEY", "#$%^&*()!@")]))


@given(st.lists(st.sampled_from([*ENCODED.values(), "x", "sk-", "\n", KEY[:-3], " " * 50]), max_size=8), st.data())
def test_in_whatever_chunks_it_comes(pieces: list[str], data: st.DataObject) -> None:
    whole = "\n==\n".join(pieces).encode("utf-8")
    stream, at, said, held = Stream(to_mask([KEY])), 0, b"", 0
    while at < len(whole):
        size = data.draw(st.integers(1, 40))
        part = stream.feed(whole[at : at + size])
        said += starred(part)
        at += size
        held = max(held, at - len(said))
    said += starred(stream.rest())
    expected = b"".join(map(starred, parts(whole, to_mask([KEY]))))
    assert said == expected
    assert not spans(said, FORMS)


def test_a_value_that_ends_where_the_next_one_begins_does_not_hide_it() -> None:
    """One form of the first takes a letter of the second for its own."""
    whole = "\n==\n".join([ENCODED["base64 of UTF-16 the other way"]] * 2).encode()
    stream = Stream(to_mask([KEY]))
    said = b"".join(starred(stream.feed(whole[at:to])) for at, to in itertools.pairwise([0, 32, 72, 100, 140, 200]))
    assert said + starred(stream.rest()) == b"***"


def test_text_that_begins_no_value_is_not_held_back() -> None:
    stream = Stream(to_mask([KEY, "abcd"]))
    assert stream.feed(b"a line of the log\n").content == b"a line of the log\n"
    assert stream.feed(b"one more: sk-").content == b"one more: "
    assert stream.feed(b"no\n").content == b"sk-no\n"


def test_what_is_held_back_has_a_bound() -> None:
    stream = Stream(to_mask([KEY]))
    fed = said = 0
    for chunk in (b"sk", *[b" " * 1000] * 100):
        fed += len(chunk)
        said += len(stream.feed(chunk).content)
        assert fed - said < 6_000


def test_every_secret_of_a_pipeline_was_handed_out() -> None:
    gate = Gate("tests", GateKind.RUN, secrets=("OF_GATE",))
    pipeline = Pipeline(
        "p",
        (Stage("code", agent="coder", secrets=("OF_STAGE", "UNSET"), gates=(gate,)),),
        agents=(AgentSpec("coder", "command", secrets=("OF_AGENT",)),),
        setup=(Setup(CommandLine(argv=("true",)), env=("PIP_INDEX_URL", "NPM_TOKEN", "LANG")),),
    )
    environ = {name: name.lower() for name in ("OF_GATE", "OF_STAGE", "OF_AGENT", "NPM_TOKEN", "LANG", "OTHER")}
    environ["PIP_INDEX_URL"] = "https://u:p@index"
    assert {name for name, _ in handed_out(pipeline, environ)} == {
        "OF_GATE",
        "OF_STAGE",
        "OF_AGENT",
        "NPM_TOKEN",
        "PIP_INDEX_URL",
    }


def test_an_address_with_a_password_that_anybody_sees_was_handed_out() -> None:
    gate = Gate("tests", GateKind.RUN, env=("OF_GATE", "LANG"))
    stage = Stage("code", agent="coder", env=("OF_STAGE", "HOME"), gates=(gate,))
    agent = AgentSpec("coder", "command", env=("OPENAI_API_BASE", "MODEL"))
    names = ("OF_GATE", "OF_STAGE", "OPENAI_API_BASE")
    environ = {"LANG": "C.UTF-8", "HOME": "/home/ann", "MODEL": "openai/gpt-4o", "OTHER": "https://u:p@x"}
    environ |= dict.fromkeys(names, "https://gate:Pa55w0rd-zQ7xY@gw.example.com/v1")
    assert {name for name, _ in handed_out(Pipeline("p", (stage,), agents=(agent,)), environ)} == set(names)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("GIT_AUTHOR_EMAIL", "ann@example.org", False),
        ("UV_INDEX_MINE_USERNAME", "__token__", False),
        ("POETRY_HTTP_BASIC_MINE_USERNAME", "oauth2accesstoken", False),
        ("UV_INDEX_MINE_USERNAME", "1a2b3c4d-9Zq8Rt7Lm6Kp5", True),
        ("MINE_USERNAME", "https://u:p@index", True),
        ("PROXY_AUTHORIZATION", "Basic YTpi", True),
        ("GOAUTH", "netrc", True),
        ("UV_INDEX_MINE_PASSWORD", "p", True),
    ],
)
def test_of_what_setup_sees_user_names_and_authors_are_no_secrets(name: str, value: str, expected: bool) -> None:
    pipeline = Pipeline("p", (Stage("code"),), setup=(Setup(CommandLine(argv=("true",)), env=(name,)),))
    assert bool(handed_out(pipeline, {name: value})) is expected
