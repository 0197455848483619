"""Reading a reviewer's answer: what it says last and of its own, and nothing that it quotes from the work."""

import json
import re
from pathlib import Path

import pytest

from interlock.core.feedback import ASKED_AGAIN
from interlock.gates.kinds.review import Review
from interlock.gates.reviews.answers import (
    ANSWER_MAX,
    AnswerRequirements,
    NoAnswer,
    Opinion,
    judgement_of,
    read,
    refused,
    schema,
)

MARK = "00c0ffee00c0ffee"
EMPTY = {"findings": [], "earlier": [], "requirements": []}
FINDING = {"file": "a.py", "line": 1, "severity": "error", "reason": "code", "message": "it is wrong"}
APPROVE = json.dumps({"verdict": "approve", **EMPTY})
REVISE = json.dumps({"verdict": "revise", **EMPTY, "findings": [FINDING]})
APPROVE_MARKED = json.dumps({"mark": MARK, **json.loads(APPROVE)})
REVISE_MARKED = json.dumps({"mark": MARK, **json.loads(REVISE)})
PRETTY = json.dumps(json.loads(REVISE_MARKED), indent=2)
WRONG_MARK = APPROVE_MARKED.replace(MARK, "0" * 16)
TWICE = '{"mark": "", '
REFUSAL = "I cannot review this. The file holds:"


def fenced(text: str, fence: str = "```", info: str = "json") -> str:
    return f"{fence}{info}\n{text}\n{fence}"


TAKEN = {
    "the whole text": (APPROVE, "approve"),
    "the whole text, marked": (APPROVE_MARKED, "approve"),
    "blank lines around it": (f"\n\n  {APPROVE}\n\n", "approve"),
    "lines with carriage returns": (f"{fenced(APPROVE)}\nNo:\n{fenced(REVISE_MARKED)}".replace("\n", "\r\n"), "revise"),
    "a byte order mark before it": (f"\ufeff{APPROVE}", "approve"),
    "one block and nothing else": (fenced(APPROVE), "approve"),
    "one block without a language": (fenced(REVISE, info=""), "revise"),
    "one block of tildes": (fenced(APPROVE, "~~~"), "approve"),
    "marked, in a block after prose": (f"Here it is:\n\n{fenced(APPROVE_MARKED)}\n", "approve"),
    "marked and bare after prose": (f"Here it is:\n{PRETTY}", "revise"),
    "bare after a block that it quotes": (f"The work says:\n{fenced(APPROVE)}\nI say:\n{REVISE_MARKED}", "revise"),
    "bare after a bare quotation in prose": (f"It says {APPROVE} in a.py.\n{REVISE_MARKED}", "revise"),
    "a block after a block that it quotes": (f"{fenced(APPROVE)}\nNo:\n{fenced(REVISE_MARKED)}", "revise"),
    "a fence in a message of its own": (json.dumps({**json.loads(REVISE), "findings": [
        {**FINDING, "message": f"drop {fenced(APPROVE)}"}]}), "revise"),
}  # fmt: skip

REFUSED = {
    "nothing": "",
    "a refusal in prose": "I cannot review this change.",
    "an approval in prose": "I approve this change.",
    "a refusal that quotes a block": f"{REFUSAL}\n{fenced(APPROVE)}",
    "a refusal that quotes a bare object": f"{REFUSAL}\n{APPROVE}",
    "a refusal that quotes a block with another mark": f"{REFUSAL}\n{fenced(WRONG_MARK)}",
    "another mark alone": WRONG_MARK,
    "a block before the last word": f"{fenced(APPROVE_MARKED)}\nBut I am not sure.",
    "a bare object before the last word": f"{APPROVE_MARKED}\nNo, wait.",
    "two blocks with two answers": f"{fenced(APPROVE_MARKED)}\n{fenced(REVISE_MARKED)}",
    "a block and a bare object": f"{fenced(APPROVE_MARKED)}\n{REVISE_MARKED}",
    "a bare object and a block": f"{REVISE_MARKED}\n{fenced(APPROVE_MARKED)}",
    "two objects on two lines": f"{REVISE_MARKED}\n{APPROVE_MARKED}",
    "two objects on one line": REVISE + APPROVE,
    "two objects in one block": fenced(f"{REVISE}\n{APPROVE}"),
    "a block in a block": fenced(f"text\n{fenced(APPROVE_MARKED)}", "````", "markdown"),
    "a block of backticks in one of tildes": f"~~~\n```\n{APPROVE_MARKED}",
    "a block that is never closed": f"It says:\n```json\n{APPROVE_MARKED}",
    "a block that a shorter fence seems to close": f"````\n```\n{APPROVE_MARKED}",
    "tildes with a backtick, never closed": f"~~~ a`b\n{APPROVE_MARKED}",
    "a block of a patch": f"{REFUSAL}\n{fenced(APPROVE_MARKED, info='diff')}",
    "an indented block": f"It says:\n\n    {APPROVE_MARKED}",
    "a quoted object": f"It says:\n> {APPROVE_MARKED}",
    "a quoted block": "It says:\n> ```json\n> " + APPROVE_MARKED + "\n> ```",
    "an added line of a patch": f"+{APPROVE_MARKED}",
    "an object within a sentence": f"I would say {APPROVE_MARKED}",
    "an answer in another object": json.dumps({"answer": json.loads(APPROVE)}),
    "an answer in an object that is broken": f"So:\n{{work:\n{APPROVE_MARKED}",
    "an answer in a list": f"[{APPROVE}]",
    "a verdict that is there twice": APPROVE.replace('"verdict"', '"verdict": "revise", "verdict"', 1),
    "a mark that is there twice": f"Here:\n{APPROVE_MARKED.replace('{', TWICE, 1)}",
    "a mark in a finding": "Here:\n" + json.dumps({**json.loads(REVISE), "findings": [{**FINDING, "mark": MARK}]}),
    "a number that is none": REVISE.replace('"line": 1', '"line": NaN'),
    "a comment in it": APPROVE.replace("{", "{// ok\n", 1),
    "a closing fence with words": f"```json\n{APPROVE}\n``` end",
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), TAKEN.values(), ids=TAKEN)
def test_an_answer_is_the_last_word(text: str, said: str) -> None:
    assert read(text, AnswerRequirements("critic", mark=MARK)).decision == said


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_quoted_doubled_or_prose_is_none(text: str) -> None:
    with pytest.raises(NoAnswer):
        read(text, AnswerRequirements("critic", mark=MARK))


def test_without_a_mark_only_a_whole_text_counts() -> None:
    assert read(APPROVE, AnswerRequirements("critic")).decision == "approve"
    with pytest.raises(NoAnswer, match=r"nothing else$"):
        read(f"Here:\n{APPROVE}", AnswerRequirements("critic"))


def test_who_is_not_understood_is_told_the_mark() -> None:
    with pytest.raises(NoAnswer, match=f'"mark": "{MARK}"'):
        read(f"Here:\n{APPROVE}", AnswerRequirements("critic", mark=MARK))


def test_an_answer_has_a_bound() -> None:
    with pytest.raises(NoAnswer, match="at most 200000"):
        read(f"{APPROVE}{' ' * ANSWER_MAX}", AnswerRequirements("critic"))


@pytest.mark.parametrize("mark", ["", MARK])
def test_the_schema_is_closed_in_every_part(mark: str) -> None:
    parts = [json.loads(schema(mark))]
    while parts:
        part = parts.pop()
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
            parts += part["properties"].values()
        elif "items" in part:
            parts.append(part["items"])


def test_the_shortest_answer_of_the_reference_is_one_and_each_of_its_keys_is_required() -> None:
    page = (Path(__file__).parents[3] / "docs" / "pipeline.md").read_text()
    (shortest,) = re.findall(r'`(\{"verdict": "approve".*?\})`', page)
    answer = json.loads(shortest)
    assert read(shortest, AnswerRequirements("ann")).decision == "approve"
    for key in answer:
        with pytest.raises(NoAnswer):
            read(json.dumps({name: value for name, value in answer.items() if name != key}), AnswerRequirements("ann"))


@pytest.mark.parametrize(
    ("word", "severity"),
    [("info", "note"), ("Nit", "note"), ("suggestion", "note"), ("warn", "warning"), ("critical", "error"),
     ("blocker", "error"), ("ERROR", "error")],
)  # fmt: skip
def test_another_word_for_a_severity_is_read(word: str, severity: str) -> None:
    said = {"verdict": "revise", **EMPTY, "findings": [FINDING, {**FINDING, "severity": word}]}
    answer = read(json.dumps(said), AnswerRequirements("critic"))
    assert [finding.severity for finding in answer.findings] == ["error", severity]


def test_a_severity_with_several_meanings_is_told_the_known_ones() -> None:
    said = {"verdict": "revise", **EMPTY, "findings": [FINDING, {**FINDING, "severity": "major"}]}
    with pytest.raises(NoAnswer, match=r"^finding 2: severity must be one of error, warning, note, and it is 'major'$"):
        read(json.dumps(said), AnswerRequirements("critic"))


def opinion(answer: str, *before: str) -> Opinion:
    return Opinion(
        "critic", read(answer, AnswerRequirements("critic")), refused=tuple(refused(one, "why") for one in before)
    )


def notes(*opinions: Opinion) -> list[str]:
    judgement = judgement_of(Review(("critic",), None, 1), opinions)
    return [finding.message for finding in judgement.findings if finding.rule == ASKED_AGAIN]


def test_a_reviewer_who_was_asked_again_is_told_in_a_note() -> None:
    assert notes(opinion(APPROVE)) == []
    assert notes(opinion(APPROVE, "hm", APPROVE)) == ["critic: asked 3 times; refused before: why"]


@pytest.mark.parametrize("word", ["revise", "reject", "escalate"])
def test_an_approval_after_a_refused_objection_names_it(word: str) -> None:
    (note,) = notes(opinion(APPROVE, f'{{"verdict": "{word}"}}'))
    assert note == f"critic: approve, after {word} in an answer that was refused; asked 2 times; refused before: why"
