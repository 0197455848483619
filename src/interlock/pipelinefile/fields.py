"""The types of single values in a pipeline file: durations, commands, texts, names, paths. Rule: each validator
returns a core value, and its error says what is wrong and what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from interlock.core.pipeline import CommandLine
from interlock.text.hosts import host_of
from interlock.text.sizes import read_size

DURATION_MAX_S = 30 * 24 * 3600
SIZE_MIN, SIZE_MAX = 1_000_000, 10**15
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN_VARIABLES = re.compile(r"TASK|INPUT_.*|ARTIFACTS?|ARTIFACT_.*|REPORT|HELD_OUT|ITEM|BRIEF|INTERLOCK_.*")
_PATH_LIKE = re.compile(r"\S*/\S*|\S+\.(md|txt|json|ya?ml|j2|jinja)")


@dataclass(frozen=True, slots=True)
class Source:
    """A prompt, rubric or schema as written: inline, or the path of a file. Exactly one of the two is set."""

    text: str | None = None
    file: str | None = None


def field_error(what: str, hint: str) -> PydanticCustomError:
    """A validation error with both parts of a mistake: what is wrong, and what would be right."""
    return PydanticCustomError("mistake", "{what}", {"what": what, "hint": hint})


def items_error(wrong: Iterable[tuple[int, str, str]]) -> PydanticCustomError:
    """As `field_error`, for several items of a list: the index of each, and both parts of its mistake."""
    return PydanticCustomError("mistakes", "items are wrong", {"items": tuple(wrong)})


def read_duration(value: object) -> int:
    """Seconds, from a bare integer or from text such as 90s, 30m, 1h30m."""
    hint = "write 90s, 30m, 4h or 1h30m; a bare number is seconds"
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)) and value:
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        value = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not isinstance(value, int) or isinstance(value, bool):
        raise field_error(f"{_describe(value)} is not a duration", hint)
    if not 1 <= value <= DURATION_MAX_S:
        raise field_error(f"{value} seconds is out of range", "a duration is from 1s to 30d")
    return value


def read_bytes(value: object) -> int:
    """Bytes, from text such as 500 MB or 8 GB."""
    hint = "write 500 MB or 8 GB"
    found = read_size(value) if isinstance(value, str) else None
    if found is None:
        raise field_error(f"{_describe(value)} is not a size", hint)
    if not SIZE_MIN <= found <= SIZE_MAX:
        raise field_error(f"{value} is out of range", "a size is from 1 MB to 1000 TB")
    return found


def read_command(value: object) -> CommandLine:
    """A command: a line for the shell, or a list of words."""
    if isinstance(value, str) and value.strip():
        return CommandLine(shell=value)
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value) and value[0]:
        return CommandLine(argv=tuple(value))
    if isinstance(value, list) and value:
        odd = next((word for word in value if not isinstance(word, str)), "")
        raise field_error(f"the word {_describe(odd)} is not text", "put each word in quotes")
    raise field_error(f"{_describe(value)} is not a command", "write a line for the shell, or a list of words")


def read_text(value: object) -> Source:
    """`{file: PATH}`, `{text: TEXT}`, or bare text that does not look like a path."""
    if isinstance(value, str) and value.strip():
        if _PATH_LIKE.fullmatch(value.strip()) and "{{" not in value:
            raise field_error(
                f"{value.strip()} looks like a path, but plain text is used as it is", _file_or_text(value.strip())
            )
        return Source(text=value)
    if isinstance(value, dict) and len(value) == 1:
        (kind, content), *_ = value.items()
        if kind in ("file", "text") and isinstance(content, str) and content.strip():
            return Source(file=content) if kind == "file" else Source(text=content)
    raise field_error("this is neither a text nor a file", "write {file: PATH} or {text: TEXT}")


def read_name(value: object) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    hint = "a name starts with a lower-case letter, then lower-case letters, digits, - and _, at most 48 characters"
    raise field_error(f"{_describe(value)} is not a valid name", hint)


def read_variable(value: object) -> str:
    """The name of an environment variable that is passed on."""
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        hint = "write the name alone, its value comes from the environment"
        raise field_error(f"{_describe(value)} is not a name of an environment variable", hint)
    if _OWN_VARIABLES.fullmatch(value):
        raise field_error(f"{value} is set by interlock itself", "remove it: it already exists")
    return value


def read_path(value: object) -> str:
    """A relative path that stays inside its folder, without a trailing slash."""
    if not isinstance(value, str) or not value.strip():
        raise field_error(f"{_describe(value)} is not a path", "write a relative path such as docs/plan.md")
    if value.startswith(("/", "~")) or "\\" in value:
        raise field_error(f"{value} is not a relative path", "write it relative, with forward slashes")
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise field_error(f"{value} leads upwards", "write a path that stays inside")
    if parts and parts[0] == ".git":
        raise field_error(f"{value} lies in .git", "git's own files cannot be used")
    return "/".join(parts)


def read_network(value: object) -> bool | tuple[str, ...]:
    """All of it, none, or the hosts that a program may reach, each with a port or without."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, list):
        raise field_error(f"{_describe(value)} is no network", "write true, false, or a list of hosts")
    wrong = [(index, *flaw) for index, host in enumerate(value) if (flaw := _flaw_of_host(host))]
    if wrong:
        raise items_error(wrong)
    return tuple(value)


def _flaw_of_host(host: object) -> tuple[str, str] | None:
    """What is wrong, and what would be right."""
    if not isinstance(host, str):
        return f"{_describe(host)} is not a host", "write a name such as example.org, or NAME:PORT"
    try:
        host_of(host)
    except ValueError as error:
        what, _, hint = str(error).partition(": ")
        return what, hint
    return None


def read_absolute_path(value: object) -> str:
    """A path of the machine; `~/` is the user's home. Not all of the machine, and not all of the home."""
    if not isinstance(value, str) or not value.startswith(("/", "~/")):
        raise field_error(f"{_describe(value)} is not an absolute path", "write it from / on, or from ~/")
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise field_error(f"{value} leads upwards", "write the path where it ends")
    if not parts or parts == ["~"]:
        raise field_error(f"{value} is everything", "name the folders and files that programs need")
    return "/".join(parts) if value.startswith("~") else f"/{'/'.join(parts)}"


def read_glob(value: object) -> str:
    """A pattern like those of .gitignore."""
    if not isinstance(value, str) or not value.strip():
        raise field_error(f"{_describe(value)} is not a pattern", "write one such as src/** or '*.py'")
    if value.startswith("!"):
        raise field_error(f"{value} excludes", "list what you mean: patterns can only include")
    if ".." in value.split("/") or value.startswith("~"):
        raise field_error(f"{value} leads out of the repository", "write a pattern relative to the repository's root")
    if value.count("[") != value.count("]"):
        raise field_error(f"{value} has an unmatched bracket", "close it, or write \\[ for the character")
    return value.removeprefix("./")


def read_instructions(value: object) -> tuple[str, ...]:
    """A list of globs; `none` is an empty one."""
    if value == "none":
        return ()
    if isinstance(value, list):
        return tuple(read_glob(one) for one in value)
    hint = "write none, or a list of patterns such as [AGENTS.md, docs/agents/*.md]"
    raise field_error(f"{_describe(value)} is neither none nor a list", hint)


def read_bare(value: object) -> str | int | float | bool | None:
    if isinstance(value, dict | list):
        raise field_error(
            f"{_describe(value)} is here where one value belongs", "write text, a number, true, false or null"
        )
    return value if isinstance(value, str | int | float | bool) else None


def _describe(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return str(value)


def _file_or_text(path: str) -> str:
    return f"write {{file: {path}}}, or {{text: {path}}} if this text is meant"


_TEXT_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"file": {"type": "string"}, "text": {"type": "string"}},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}
_COMMAND_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_INSTRUCTIONS_SCHEMA = {"anyOf": [{"const": "none"}, {"type": "array", "items": {"type": "string"}}]}
_DURATION_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": f"^{_DURATION.pattern}$"}, {"type": "integer", "minimum": 1}]
}

_SIZE_SCHEMA = {"type": "string", "pattern": r"^\d+(\.\d+)? ?([kMGT]?B)$"}
_NETWORK_SCHEMA = {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}

Size: TypeAlias = Annotated[int, PlainValidator(read_bytes), WithJsonSchema(_SIZE_SCHEMA)]
Duration: TypeAlias = Annotated[int, PlainValidator(read_duration), WithJsonSchema(_DURATION_SCHEMA)]
CommandField: TypeAlias = Annotated[CommandLine, PlainValidator(read_command), WithJsonSchema(_COMMAND_SCHEMA)]
Instructions: TypeAlias = Annotated[
    tuple[str, ...], PlainValidator(read_instructions), WithJsonSchema(_INSTRUCTIONS_SCHEMA)
]
TextField: TypeAlias = Annotated[Source, PlainValidator(read_text), WithJsonSchema(_TEXT_SCHEMA)]
Name: TypeAlias = Annotated[
    str, BeforeValidator(read_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
Variable: TypeAlias = Annotated[str, BeforeValidator(read_variable)]
NetworkField: TypeAlias = Annotated[
    bool | tuple[str, ...], PlainValidator(read_network), WithJsonSchema(_NETWORK_SCHEMA)
]
AbsolutePath: TypeAlias = Annotated[str, BeforeValidator(read_absolute_path)]
RelativePath: TypeAlias = Annotated[str, BeforeValidator(read_path)]
Bare: TypeAlias = Annotated[
    str | int | float | bool | None,
    PlainValidator(read_bare),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
]
Glob: TypeAlias = Annotated[str, BeforeValidator(read_glob)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
