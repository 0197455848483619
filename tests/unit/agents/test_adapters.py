"""Each adapter is a module in `agents.kinds` and a row in `conventions.programs`."""

from __future__ import annotations

from pathlib import Path
from pkgutil import iter_modules

import pytest

from interlock.agents import adapters, kinds
from interlock.agents.bundled import model
from interlock.conventions.programs import ADAPTERS, PROGRAMS
from interlock.pipelinefile import InvalidPipeline, load_pipeline


def test_each_module_has_its_row() -> None:
    assert {module.name for module in iter_modules(kinds.__path__)} == set(ADAPTERS)


def test_a_model_is_named_by_a_provider_that_is_known() -> None:
    assert set(ADAPTERS["model"].providers) == set(model._MAKERS)


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_the_file_takes_what_its_row_says(name: str, tmp_path: Path) -> None:
    adapter = ADAPTERS[name]
    for option in {"price", "login", "script"} - adapter.options:
        assert f"unknown key {option}" in _said(tmp_path, name, f"{option}: true")
    started = f"`use: {name}` starts its own program" not in _said(tmp_path, name, "run: x")
    assert started == adapter.runs == ("has no program" in _said(tmp_path, name, "env: []"))


def _said(root: Path, use: str, line: str) -> str:
    stages = "stages: {s: {agent: a, gates: [{id: g, run: x}]}}"
    (root / "interlock.yaml").write_text(f"version: 1\nagents:\n  a:\n    use: {use}\n    {line}\n{stages}\n")
    try:
        load_pipeline(root / "interlock.yaml", root)
    except InvalidPipeline as error:
        return str(error)
    return ""


_OTHERS = {"acp", "command", "model", "scripted"}  # which drive no program of their own


def test_a_row_for_each_adapter_and_an_adapter_for_each_row() -> None:
    assert {one.name for one in PROGRAMS} | _OTHERS == set(adapters({}))


def test_no_two_programs_render_the_same_type_of_event() -> None:
    """A type is looked for in every log."""
    named = [kind for one in PROGRAMS for kind in one.renders]
    assert sorted(named) == sorted(set(named))
