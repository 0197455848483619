"""Briefs of the demo and of two runs of packages that nobody here wrote, as an agent reads them. Read them as one.

What was said of the attempts, and their patches, are those of real runs. `INTERLOCK_WRITE_EXPECTED=1 pytest
tests/unit/execution/test_golden_briefs.py` writes `golden/` anew: then read the difference in git.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit.execution.briefs import Told, pipeline_of

from interlock.core.pipeline import Pipeline
from interlock.ports import Change

HERE = Path(__file__).parent
DEMO = HERE.parents[2] / "demo"
WRITE = bool(os.environ.get("INTERLOCK_WRITE_EXPECTED"))  # read now: tests run without it
TASKS = {
    "demo": 'naturalsize(999999) returns "1000.0 kB". Where rounding reaches the next unit, use that unit: "1.0 MB".',
    "sqlparse": "Bring sqlparse to 0.5.2.",
    "toolz": "Bring toolz to 1.1.0.",
}
CASES = (
    "demo plan", "demo design", "demo design 1.1", "demo tests", "demo code", "demo code 1.1", "demo code 1.2",
    "demo code 1.2 resumed", "demo ship", "sqlparse plan", "sqlparse code", "sqlparse code 1.1", "sqlparse code 1.2",
    "toolz code", "toolz code 1.1",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_brief_is_as_it_was_read(case: str, tmp_path: Path) -> None:
    name, stage, *rest = case.split()
    told = recorded(name, stage, rest[0] if rest else "", tmp_path / name)
    text = told.brief(resumed="resumed" in rest)
    golden = HERE / "golden" / f"{'-'.join(case.split())}.md"
    if WRITE:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def recorded(name: str, stage: str, until: str, folder: Path) -> Told:
    """What the run knew when the attempt after `until` began."""
    run = json.loads((HERE / "runs" / f"{name}.json").read_text())
    said = [one for one in run["said"] if until and f"{stage}/" < one["attempt"] <= f"{stage}/{until}"]
    pipeline = of_demo(folder) if name == "demo" else pipeline_of(folder, (HERE / "runs" / f"{name}.yaml").read_text())
    known = pipeline.upstream(stage)
    artifacts = {path: text for path, text in run["artifacts"].items() if path.split("/")[2] in known}
    grown = [Change("tests/test_filesize_rounding.py", "A", "000000", "100644")] if "tests" in known else []
    return Told(pipeline, stage, TASKS[name], said, artifacts, grown)


def of_demo(folder: Path) -> Pipeline:
    files = {str(path.relative_to(DEMO / "pipeline")): path.read_text() for path in (DEMO / "pipeline").rglob("*.*")}
    files["agents.yaml"] = "agents: {coder: {use: command, run: my-agent}}\n"
    files["pyproject.toml"] = (DEMO / "humanize/pyproject.toml").read_text()
    files["src/humanize/__init__.py"] = ""  # what ready gates look for
    return pipeline_of(folder, files.pop("interlock.yaml"), files)
