"""Filling in, and what is found before anything is filled in."""

from __future__ import annotations

import pytest

from interlock.pipelinefile import render
from interlock.pipelinefile.templates import KnownNames, find_flaws
from interlock.ports import UsageError

KNOWN = KnownNames(frozenset({"task", "inputs", "run.id", "artifacts"}), frozenset({"a"}), frozenset({"plan/plan"}))


def test_values_are_put_in_as_they_are() -> None:
    values = {"task": "<b>&'\"", "run": {"id": "r1"}, "artifacts": {"plan/plan": "x\n"}}
    text = "{{ task }} {{ run.id }}\n{{ artifacts['plan/plan'] }}\n"
    assert render(text, values) == "<b>&'\" r1\nx\n\n"


def test_values_are_not_templates() -> None:
    assert render("{{ task }}", {"task": "{{ run.id }}"}) == "{{ run.id }}"


@pytest.mark.parametrize(
    "template",
    ["{{ nothing }}", "{{ task.upper.more }}", "{{ task", "{% include 'x' %}", "{{ task|nofilter }}",
     "{{ 'a' * 999999999 }}",
     "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}"],
)  # fmt: skip
def test_what_cannot_be_filled_in_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="the template cannot be filled in"):
        render(template, {"task": "t"})


@pytest.mark.parametrize(
    "template",
    ["no tags", "{{ task }}", "{{ inputs.a }} {{ inputs['a'] }}", "{{ artifacts['plan/plan']|trim }}",
     "{% for name, text in artifacts|items %}{{ name }}{% endfor %}", "{% set x = task %}{{ x }}",
     "{% if 'plan/plan' in artifacts %}{{ run.id }}{% endif %}", "{# {{ not.looked.at }} #}",
     "{% raw %}{{ x }}{% endraw %}"],
)  # fmt: skip
def test_what_is_known_is_no_flaw(template: str) -> None:
    assert find_flaws(template, KNOWN) == []


def test_a_flaw_is_found_at_its_place() -> None:
    found = find_flaws("é 'taks' {{ 'taks' ~ taks }}", KNOWN)
    assert [(flaw.offset, flaw.message) for flaw in found] == [(21, "taks is not defined")]
