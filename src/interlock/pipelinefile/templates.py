"""Templates of prompts, briefs and branch names. Rule: a variable that is never set is found when the file is loaded.

Templates are minijinja's (Jinja's language, without access to Python), strict about undefined values, and limited in
work by fuel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from interlock.pipelinefile.mistakes import nearest
from interlock.ports import UsageError

if TYPE_CHECKING:
    import minijinja

FUEL = 5_000_000
_FUNCTIONS = frozenset({"range", "dict", "namespace"})
_UNKNOWN = {"UnknownFilter", "UnknownFunction", "UnknownTest", "TemplateNotFound", "UnknownMethod"}
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_SUBSCRIPT = re.compile(r"(?<![\w.])(artifacts|inputs)\s*\[\s*(['\"])(.*?)\2\s*\]")

# The names that a template of a brief may use beside those of prompts, and what they hold.
BRIEF_PARTS = {
    "prompt": "the stage's `prompt`, filled in; without one the task",
    "instructions": "what the project's own files for agents say, as the base has them, with a heading",
    "accepted": "what stages before this one made, and where it lies",
    "conflicts": "what merging could not do, and how to decide it",
    "may_change": "what the stage may write, add and author, its limits, and what is protected",
    "checks": "the gates with their commands; of held-out ones only that they are there",
    "documents": "what the stage `produces`: where, with which sections and schema",
    "only_documents": "true where nothing but these may change",
    "runnable": "true where one of the checks that are shown is a command",
    "wrong": "why the last attempt was rejected, what of it is not new, and what people said",
    "tried": "the patch that was rejected, bounded",
    "folder": "the stage's `dir`, empty for the root",
    "continued": "true where the files are those of the rejected attempt (`workspace: continue`)",
    "resumed": "true where the agent goes on with its own session, and knows the rest",
}
PROMPT_NAMES = frozenset({"task", "inputs", "run.id", "stage.id", "artifacts", "feedback"})
BRIEF_NAMES = PROMPT_NAMES | BRIEF_PARTS.keys()


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What a template may name. `inputs` and `artifacts` exist for stage `stage`; `makers` maps each artifact of the
    pipeline to the stage that produces it."""

    names: frozenset[str]
    inputs: frozenset[str] = frozenset()
    artifacts: frozenset[str] = frozenset()
    makers: Mapping[str, str] | None = None
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A mistake in a template at `offset` (in characters)."""

    offset: int
    message: str
    hint: str


def render(template: str, values: Mapping[str, object]) -> str:
    """Fill in the template. Raises UsageError if it is invalid, uses an undefined name, or runs too long."""
    import minijinja  # lazy: most commands fill in no template

    try:
        return _environment().render_str(template, **values)
    except minijinja.TemplateError as error:
        line = f"line {error.line}: " if error.line else ""
        what = f"{error.kind}" if not error.detail else f"{error.detail}"
        raise UsageError(f"the template cannot be filled in: {line}{what}: check the values that it names") from None


def find_flaws(template: str, known: KnownNames) -> list[Flaw]:
    """The mistakes in a template that can be found without its values."""
    if "{" not in template:
        return []
    import minijinja  # lazy: most commands fill in no template

    try:
        undeclared = _environment().undeclared_variables_in_str(template, nested=True)
    except minijinja.TemplateError as error:
        return [_syntax(template, error)]
    found = [flaw for name in sorted(undeclared) if (flaw := _undefined(template, name, known))]
    found += _subscripts(template, known)
    return sorted(found, key=lambda flaw: flaw.offset) or _try_rendering(template, known)


@cache
def default_brief() -> str:
    """The template that `interlock schema --brief` prints."""
    return resources.files("interlock.pipelinefile").joinpath("brief.md").read_text(encoding="utf-8")


def tag_at(template: str, offset: int) -> tuple[str, int]:
    """The tag at `offset` and where it begins; empty if there is none."""
    for match in _TAG.finditer(template):
        if match.start() <= offset < match.end():
            return match.group(), match.start()
    return "", offset


@cache
def _environment() -> minijinja.Environment:
    import minijinja

    environment = minijinja.Environment()
    environment.undefined_behavior = "strict"
    environment.fuel = FUEL
    environment.keep_trailing_newline = True
    environment.auto_escape_callback = _no_escaping
    return environment


def _no_escaping(name: str) -> bool:
    return False


def _syntax(template: str, error: minijinja.TemplateError) -> Flaw:
    what = error.detail or error.message
    return Flaw(
        _offset(template, error), f"the template is wrong ({what})", "correct the tag; {{ and }} contain a value"
    )


def _offset(template: str, error: minijinja.TemplateError) -> int:
    """The offset of the error in characters; minijinja counts bytes."""
    if error.range is None:
        return 0
    return len(template.encode()[: error.range[0]].decode("utf-8", "ignore"))


def _undefined(template: str, name: str, known: KnownNames) -> Flaw | None:
    head, _, rest = name.partition(".")
    if head in _FUNCTIONS:
        return None
    hint = _hint_for(head, rest, known)
    return Flaw(_find(template, name), f"{name} is not defined", hint) if hint else None


def _hint_for(head: str, rest: str, known: KnownNames) -> str:
    """The hint for an undefined name; empty if it is defined."""
    roots = {name.partition(".")[0] for name in known.names}
    if head not in roots:
        return nearest(head, known.names)
    if head == "inputs":
        return "" if not rest or rest.partition(".")[0] in known.inputs else _undeclared_input(rest, known)
    if head == "artifacts":
        return f"write artifacts['STAGE/NAME'], not artifacts.{rest}" if rest and rest != "items" else ""
    if head == "item" or (head in known.names and not rest):
        return ""
    if rest and f"{head}.{rest}" in known.names:
        return ""
    return nearest(f"{head}.{rest}", {name for name in known.names if name.partition(".")[0] == head})


def _undeclared_input(name: str, known: KnownNames) -> str:
    return nearest(name, known.inputs, f"declare {name} under inputs")


def _subscripts(template: str, known: KnownNames) -> Iterator[Flaw]:
    for tag in _TAG.finditer(template):
        for match in _SUBSCRIPT.finditer(tag.group()):
            owner, name, offset = match.group(1), match.group(3), tag.start() + match.start()
            if owner == "inputs" and "inputs" in known.names and name not in known.inputs:
                yield Flaw(offset, f"inputs['{name}'] is not defined", _undeclared_input(name, known))
            if owner == "artifacts" and "artifacts" in known.names and name not in known.artifacts:
                yield Flaw(offset, f"artifacts['{name}'] does not exist", _missing_artifact(name, known))


def _missing_artifact(name: str, known: KnownNames) -> str:
    maker = (known.makers or {}).get(name, "")
    if maker and maker == known.stage:
        return f"{maker} produces it itself: name an earlier one"
    if maker:
        return f"add {maker} to the needs of {known.stage}"
    return nearest(name, known.artifacts, "no stage that this one needs produces one")


def _find(template: str, name: str) -> int:
    """The offset of a dotted name in a tag, outside of strings."""
    pattern = re.compile(r"(?<![\w.])" + r"\s*\.\s*".join(map(re.escape, name.split("."))) + r"\b")
    for tag in _TAG.finditer(template):
        blanked = _STRING.sub(lambda match: " " * len(match.group()), tag.group())
        if match := pattern.search(blanked):
            return tag.start() + match.start()
    return 0


def _try_rendering(template: str, known: KnownNames) -> list[Flaw]:
    """Fill in the template once with values of the right types, to find unknown filters and functions."""
    values = {
        **dict.fromkeys((name for name in known.names if "." not in name), ""),
        "task": "", "feedback": "", "item": {}, "run": {"id": ""}, "stage": {"id": ""},
        "inputs": dict.fromkeys(known.inputs, ""), "artifacts": dict.fromkeys(known.artifacts, ""),
    }  # fmt: skip
    import minijinja

    try:
        _environment().render_str(template, **values)
    except minijinja.TemplateError as error:
        if error.kind in _UNKNOWN:
            hint = "use one of minijinja's filters, or none"
            return [Flaw(_offset(template, error), error.detail or error.message, hint)]
    return []
