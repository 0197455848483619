"""The table of what each program does: every test that it names is there, and its page has every row and program."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.agents.behaviours import BEGIN, BEHAVIOURS, END, PAGE, table

from interlock.conventions.programs import PROGRAMS

_SUITE = Path(__file__).parents[2] / "contract" / "agents"


def test_every_behaviour_has_its_test() -> None:
    defined = {
        name for path in _SUITE.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    assert {test for test, _ in BEHAVIOURS.values()} <= defined


def test_a_cell_is_yes_only_where_all_of_its_tests_passed() -> None:
    test = "test_a_failing_model"
    outcomes = {"codex": "passed", "claude": "failed", "aider": "skipped", "mini": "absent"}
    rows = table({f"{test}[{name}-down-x]": outcome for name, outcome in outcomes.items()})
    row = next(line for line in rows.splitlines() if "is down" in line)
    cells = dict(zip((one.name for one in PROGRAMS), (cell.strip() for cell in row.split("|")[2:]), strict=False))
    assert [cells[name] for name in (*outcomes, "goose")] == ["yes", "-", "n/a", "?", "-"]
    several = table({f"test_no_credit_is_out_of_budget[codex-{one}]": one for one in ("passed", "failed")})
    assert "yes" not in several


def test_the_page_has_every_behaviour_and_every_program() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert [line.split("|")[1].strip() for line in shown[2:]] == list(BEHAVIOURS)
    assert [cell.strip() for cell in shown[0].split("|")[2:-1]] == [one.name for one in PROGRAMS]
    assert "?" not in "".join(shown)
