"""Artifacts: Markdown headings, JSON that follows a schema, and the line of each mistake."""

import json
from pathlib import Path

import pytest

from interlock.core.pipeline import Text
from interlock.gates import documents

MARKDOWN = """\
# Goal #
Text
Approach
========
- item
---
## **Out** of  scope:
```sh
# In a fence
~~~
# Still
```
    # Indented
> quoted
===
<!--
# In a comment
-->
   ### [Linked](x) `code`
#Not one
####### Nor this
~~~~
# In tildes
~~~
# Still in
~~~~
Last
---
"""


def test_headings() -> None:
    assert list(documents.headings(MARKDOWN)) == ["goal", "approach", "out of scope", "linked code", "last"]


def test_an_open_fence_goes_on_to_the_end() -> None:
    assert documents.headings("```\n# Goal\n") == {}


SCHEMA = {
    "type": "object",
    "required": ["size"],
    "properties": {"size": {"$ref": "#/$defs/size"}, "parts": {"type": "array", "items": {"type": "integer"}}},
    "$defs": {"size": {"enum": ["small", "large"]}},
}


def said(content: str | bytes, schema: object = SCHEMA) -> list[tuple[int, str]]:
    raw = content.encode() if isinstance(content, str) else content
    return list(documents.mistakes(Text(json.dumps(schema)), raw))


def test_json_that_follows() -> None:
    assert said('{"size": "small", "parts": [1]}') == []


def test_each_mistake_has_its_line() -> None:
    content = '{\n "size": "big",\n "parts": [\n  1,\n  "two",\n  {"a": "]"},\n  3.5\n ]\n}'
    assert [line for line, _ in said(content)] == [5, 6, 7, 2]
    assert said(content)[3][1] == "/size: 'big' is not one of ['small', 'large']"


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ('{"size":\n oops}', 2, "no JSON"),
        ('{"size": NaN}', 1, "NaN is no JSON number"),
        ('{"size": "small", "size": "large"}', 1, "'size' is there twice"),
        (b"\xff", 1, "no JSON"),
        ("[" * 100_000, 1, "no JSON"),
        ("{}", 1, "'size' is a required property"),
    ],
)
def test_what_is_no_json_or_lacks_something(content: str | bytes, line: int, what: str) -> None:
    ((found, message),) = said(content)
    assert found == line
    assert what in message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/$defs/missing"},
    ],
)
def test_a_schema_refers_to_nothing_outside(schema: object) -> None:
    with pytest.raises(documents.BadSchema):
        said("{}", schema)


def test_not_even_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(documents.BadSchema):
        said("{}", {"$ref": (tmp_path / "other.json").as_uri()})


def test_a_schema_that_refers_to_itself_without_end_is_a_mistake_not_a_crash() -> None:
    assert "nested too deeply" in said("{}", {"$ref": "#"})[0][1]


def test_lines() -> None:
    text = '{"a":\n [1,\n  {"b": "x,]}"}\n ],\n "c": null}'
    paths: list[list[str | int]] = [[], ["a"], ["a", 1], ["a", 1, "b"], ["c"], ["zz"], ["a", 9]]
    assert [documents.line_of(text, path) for path in paths] == [1, 2, 3, 3, 5, 1, 2]
