"""What a log says of a file that could not be loaded, and nothing of what else ran."""

from interlock.gates.reports.junit import RanTest, Status
from interlock.gates.reports.reasons import Reason, explained, reason_of

FILE = "/room/tree/test/mul.test.js"
LOG = f"""\
file://{FILE}:3
import {{ mul }} from '../calc.js';
         ^

SyntaxError: The requested module '../calc.js' does not provide an export named 'mul'
    at ModuleJob._instantiate (node:internal/modules/esm/module_job:213:21)

Node.js v20.20.2
\N{HEAVY BALLOT X} {FILE} (36.931842ms)
  'test failed'

\N{HEAVY BALLOT X} addpolimo (2.1ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:
\N{INFORMATION SOURCE} tests 6
\N{INFORMATION SOURCE} fail 4
"""


def unloaded(message: str = "test failed") -> RanTest:
    return RanTest(FILE, Status.FAILED, message, stands_for=FILE)


def test_the_paragraph_of_the_file_says_why() -> None:
    told = explained(unloaded(), LOG)
    assert "does not provide an export named 'mul'" in told.message
    assert reason_of(told) is Reason.MISSING


def test_nothing_of_other_tests_and_of_how_many_there_were() -> None:
    message = explained(unloaded(), LOG).message
    assert "AssertionError" not in message
    assert "addpolimo" not in message
    assert "tests 6" not in message


def test_a_reason_further_away_is_found_too() -> None:
    log = f"FAIL {FILE}\n  * Test suite failed to run\n\n    Cannot find module '../calc'\n"
    assert reason_of(explained(unloaded(), log)) is Reason.MISSING
