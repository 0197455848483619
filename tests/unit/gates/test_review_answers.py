"""Reading a reviewer's answer."""

import json

import pytest

from interlock.gates.reviews.answers import ANSWER_MAX, Asked, NoAnswer, read, schema

APPROVE = json.dumps({"verdict": "approve", "findings": [], "earlier": [], "requirements": []})


def test_an_answer_has_a_bound() -> None:
    with pytest.raises(NoAnswer, match="200000 at most"):
        read(f"{APPROVE}{' ' * ANSWER_MAX}", Asked("critic"))


def test_the_schema_is_closed_in_every_part() -> None:
    parts = [json.loads(schema())]
    while parts:
        part = parts.pop()
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
            parts += part["properties"].values()
        elif "items" in part:
            parts.append(part["items"])
