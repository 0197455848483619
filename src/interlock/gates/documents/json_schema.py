"""JSON that must follow a JSON Schema, with the line of each mistake.

Rule: strict JSON only (no NaN, no duplicate keys); a `$ref` finds what lies in the schema itself or in the
published drafts, and nothing is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from interlock.core.pipeline import Text
from interlock.gates.documents.json_lines import line_of

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
    registry: Registry[bool | Mapping[str, Any]] = Registry()  # without `retrieve`: it fetches nothing
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
    """Two readers could take two different values of a key that is there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return members
