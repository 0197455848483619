"""Documents that a stage produces: their JSON Schema, their Markdown headings, and the ids of requirements in them.

Rule: strict JSON only (no NaN, no duplicate keys). A `$ref` finds what is in the schema itself or in the published
drafts; nothing is ever fetched. Headings are those of CommonMark (ATX and setext); text in fenced or indented code or
in a comment is none. An id is matched whole: REQ-1 is not found in REQ-12, and names of standards such as UTF-8 are no
ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from interlock.core.pipeline import ARTIFACTS, Artifact, Text
from interlock.gates.referee import GateContext
from interlock.ports import GateRequest

MISTAKES_MAX = 100
_SHOWN_MAX = 300  # characters of a message: the library quotes the whole instance


class BadSchema(Exception):
    """The schema itself is wrong. The text says where."""


def mistakes(schema: Text, content: bytes) -> Iterator[tuple[int, str]]:
    """Line and message of each mistake, at most MISTAKES_MAX. Raises BadSchema."""
    validator = _validator(schema)
    try:
        text = content.decode("utf-8-sig")
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_no_twice)
    except json.JSONDecodeError as error:
        yield error.lineno, f"no JSON: {error.msg}"
        return
    except (ValueError, RecursionError) as error:
        yield 1, f"no JSON: {error}"
        return
    try:
        errors = list(islice(validator.iter_errors(document), MISTAKES_MAX))
    except Unresolvable as error:
        raise BadSchema(f"{_origin(schema)}: {error}: a schema can refer only to what lies in itself") from error
    except RecursionError:
        errors = [ValidationError("nested too deeply")]
    for mistake in sorted(errors, key=lambda mistake: [str(part) for part in mistake.absolute_path]):
        yield line_of(text, list(mistake.absolute_path)), _message(mistake)


def _validator(schema: Text) -> Validator:
    try:
        definition = json.loads(schema.content)
        kind = validator_for(definition, default=Draft202012Validator)
        kind.check_schema(definition)
    except (ValueError, SchemaError) as error:
        what = error.message if isinstance(error, SchemaError) else str(error)
        raise BadSchema(f"{_origin(schema)}: no JSON Schema: {what}") from error
    registry: Registry[bool | Mapping[str, Any]] = Registry()  # without `retrieve`, so that nothing is fetched
    return kind(definition, registry=registry)


def _origin(schema: Text) -> str:
    return schema.origin or "the schema"


def _message(error: ValidationError) -> str:
    where = "".join(f"/{part}" for part in error.absolute_path) or "the document"
    message = error.message
    if len(message) > _SHOWN_MAX:
        message = f"{message[: _SHOWN_MAX // 2]} ... {message[-_SHOWN_MAX // 2 :]}"
    return f"{where}: {message}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _no_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Two readers could read different values of a duplicate key."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return members


_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, of the value at `path` (keys and indexes), or of the last part of the path that exists."""
    at = _blank(text, 1 if text.startswith("\ufeff") else 0)
    for part in path:
        inside = _member(text, at, part) if isinstance(part, str) else _element(text, at, part)
        if inside is None:
            break
        at = inside
    return text.count("\n", 0, at) + 1


def _member(text: str, at: int, key: str) -> int | None:
    if not text.startswith("{", at):
        return None
    at = _blank(text, at + 1)
    while not text.startswith("}", at):
        name, at = _DECODER.raw_decode(text, at)
        at = _blank(text, _blank(text, at) + 1)
        if name == key:
            return at
        at = _next(text, at)
    return None


def _element(text: str, at: int, index: int) -> int | None:
    if not text.startswith("[", at):
        return None
    at = _blank(text, at + 1)
    for _ in range(index):
        if text.startswith("]", at):
            return None
        at = _next(text, at)
    return at


def _next(text: str, at: int) -> int:
    """The position after the value at `at` and its comma, if there is one."""
    _, at = _DECODER.raw_decode(text, at)
    at = _blank(text, at)
    return _blank(text, at + 1) if text.startswith(",", at) else at


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}(?=[^`]*$)|~{3,})")
_ATX = re.compile(r" {0,3}#{1,6}(?:[ \t]+(?P<text>.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(r"\s*$| {4}|\t| {0,3}(?:>|[-+*][ \t]|\d{1,9}[.)][ \t])")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_MARKUP = re.compile(r"[*_`]+|\[(?P<text>[^\]]*)\]\([^)]*\)")


def headings(text: str) -> dict[str, str]:
    """The headings in order: normal form, and as written."""
    found = _found(_COMMENT.sub("", text).splitlines())
    return {normal(heading): heading for heading in found if heading}


def normal(heading: str) -> str:
    """The form of a heading for comparison: without markup, letter case, outer punctuation and double blanks."""
    plain = _MARKUP.sub(lambda match: match["text"] or "", heading)
    return " ".join(plain.split()).strip(" :.").casefold()


def _found(lines: list[str]) -> list[str]:
    found: list[str] = []
    fence = ""
    before = ""
    for line in lines:
        opened = _FENCE.match(line)
        if fence:
            closes = opened and opened["fence"].startswith(fence) and not line.strip().strip(fence[0])
            fence = "" if closes else fence
            before = ""
        elif opened:
            fence, before = opened["fence"], ""
        elif atx := _ATX.fullmatch(line):
            found.append((atx["text"] or "").strip())
            before = ""
        elif before and _UNDERLINE.fullmatch(line):
            found.append(before.strip())
            before = ""
        else:
            before = "" if _NO_PARAGRAPH.match(line) else line
    return found


# --- requirements by their ids ------------------------------------------------------------------

DOCUMENT_MAX = 100_000  # bytes
_ID = r"[A-Z][A-Z0-9]{0,15}(?:-[A-Z0-9]{1,15})*-\d{1,6}"
_STANDARDS = ("AES-", "CVE-", "CWE-", "ECMA-", "IEEE-", "ISO-", "MD-", "PEP-", "RFC-", "RSA-", "SHA-", "SHA3-", "UTF-")


def ids_in(text: str, pattern: str = "") -> Iterator[str]:
    """Each id in order, with repetitions: of `pattern`, or such as REQ-12."""
    for found in re.finditer(rf"(?<![\w-])(?:{pattern or _ID})(?![\w-])", text):
        if found.group() and (pattern or not found.group().startswith(_STANDARDS)):
            yield found.group()


def document(context: GateContext, request: GateRequest, name: str) -> str:
    """The text of STAGE/NAME in the candidate, empty if there is none. Raises KeyError for a name that no stage
    produces."""
    stage, _, wanted = name.partition("/")
    for artifact in request.pipeline.stage(stage).produces:
        if artifact.name == wanted:
            return content(context, request, stage, artifact)
    raise KeyError(name)


def content(context: GateContext, request: GateRequest, stage: str, artifact: Artifact) -> str:
    """The first DOCUMENT_MAX bytes of a stage's artifact, as text."""
    path = f"{ARTIFACTS}/{stage}/{artifact.file}"
    found = context.workspaces.read(request.commit, path, artifact.max_bytes)
    return (found or b"")[:DOCUMENT_MAX].decode("utf-8", "replace")
