"""How an agent's program ends."""

from __future__ import annotations

from tests.attacks.catalogue.row import Row

ROWS = (
    Row(
        "An agent that reports a used-up quota at its end, after bad work, so that the attempt costs nothing "
        "and is retried again and again",
        "such an attempt counts against `limits.attempts` (40 in a run by default) if the model had answered, "
        "and always for `command`",
        tests="test_quota.py, test_driven.py",
        hole="no: the attempts are counted, and without the limit there would be more",
    ),
    Row(
        "A forged report of an error, and a signal that ends the program before it reports the truth",
        "a program that was ended by a signal from outside Interlock has crashed, whatever it reported, and "
        "its work is judged",
        tests="test_driven.py",
        full="held, if the program was ended so; else the row above",
        none="held, if the program was ended so; else the row above",
        hole="no: the row beside it, of a program that ended by itself, is the other case",
    ),
    Row(
        "A stream of events that is cut off, malformed, or has odd values: a negative cost, a time that never comes",
        "only a whole last event is a success; numbers that no program can mean are none",
        tests="test_fuzzed.py::test_no_stream_crashes_its_reader, "
        "test_fuzzed.py::test_a_stream_that_breaks_off_in_its_last_event_is_no_success",
        hole="no: the whole stream is a success beside it",
    ),
)
