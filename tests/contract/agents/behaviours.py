"""What the suite asks of every agent program, as the table in docs/agents/README.md shows it.

`python -m tests.contract.agents.behaviours REPORT.xml...` writes that table from JUnit reports of that folder.
A behaviour is there where all its tests ran for a program and passed. A test that is skipped does not fit the program.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from interlock.conventions.programs import PROGRAMS

PAGE = Path(__file__).parents[3] / "docs" / "agents" / "README.md"
BEGIN, END = "<!-- behaviours -->\n", "<!-- end of behaviours -->\n"
_YES, _NO, _NONE, _UNKNOWN = "yes", "-", "n/a", "?"

# What a row says, and the tests that show it: their name, and what stands in brackets after the program's name.
BEHAVIOURS: Mapping[str, tuple[str, str]] = {
    "edits files, and reports exact token counts": ("test_a_real_edit_and_tokens_to_the_digit", ""),
    "ends without a change, and says so": ("test_no_change_at_all_is_completed_and_changes_nothing", ""),
    "takes a brief longer than an argument may be": ("test_a_brief_longer_than_an_argument_may_be", ""),
    "reviews with a typed answer, and changes nothing": (
        "test_a_reviewer_gives_a_typed_answer_and_changes_nothing",
        "",
    ),
    "prose is not accepted as a review": ("test_prose_of_a_reviewer_is_no_answer", ""),
    "as a worker, obeys nothing that was planted": ("test_a_worker_reads_nothing_that_was_planted", ""),
    "as a reviewer, obeys nothing that was planted": ("test_a_reviewer_reads_nothing_that_was_planted", ""),
    "leaves no process behind": ("test_a_daemon_is_dead_when_the_work_returns", ""),
    "a model that never answers is a timeout": ("test_a_model_that_never_answers_is_a_timeout", ""),
    "an endpoint that is down is waited for": ("test_a_failing_model", "-down-.*"),
    "a limit is waited for": ("test_a_failing_model", "-limit-.*"),
    "a bad key ends it at once": ("test_a_failing_model", "-key-.*"),
    "a broken stream is not a success": ("test_a_failing_model", "-cut-.*"),
    "an error after the first call is not a success": ("test_what_fails_after_the_first_call_is_no_success", "-.*"),
    "a busy endpoint costs no attempt": ("test_a_busy_endpoint_does_not_cost_the_attempt", ""),
    "continues after a short limit or a broken stream": (
        "test_a_short_limit_or_a_broken_stream_does_not_either",
        "-.*",
    ),
    "no credit is out of budget": ("test_no_credit_is_out_of_budget", "-.*"),
    "a blocked answer is a refusal": ("test_an_answer_that_was_blocked_is_a_refusal", ""),
    "resumes its session": ("test_the_second_attempt_remembers_the_first_and_tokens_count_once", ""),
    "is stopped in the middle, at a token limit": (
        "test_an_attempt_ends_at_the_limit_and_goes_on_when_it_is_raised",
        "-tokens.*",
    ),
    "runs its gates with `check`": ("test_a_real_agent_asks_in_its_first_turn_mends_and_is_accepted_at_once", ""),
}


def table(outcomes: Mapping[str, str]) -> str:
    """As Markdown, with a row for each behaviour. `outcomes`: passed, failed or skipped, by the name of a test."""
    names = [program.name for program in PROGRAMS]
    head = f"| what it does | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    return head + "".join(
        f"| {words} | {' | '.join(_cell(outcomes, test, name, rest) for name in names)} |\n"
        for words, (test, rest) in BEHAVIOURS.items()
    )


def _cell(outcomes: Mapping[str, str], test: str, program: str, rest: str) -> str:
    mine = re.compile(rf"{test}\[{program}{rest}\]")
    said = {outcome for name, outcome in outcomes.items() if mine.fullmatch(name)}
    if said in ({"passed"}, {"skipped"}):
        return _YES if said == {"passed"} else _NONE
    return _UNKNOWN if "absent" in said else _NO


def _outcomes(report: Path) -> Iterator[tuple[str, str]]:
    for case in ElementTree.parse(report).iter("testcase"):
        tags = {child.tag for child in case}
        outcome = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        if any("is not installed" in skipped.get("message", "") for skipped in case.iter("skipped")):
            outcome = "absent"
        yield case.get("name", ""), outcome


def main(*reports: str) -> None:
    """Of a test that is in several reports the last one counts."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    content = table({name: outcome for report in reports for name, outcome in _outcomes(Path(report))})
    PAGE.write_text(f"{before}{BEGIN}\n{content}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
