"""What surfaces call: start, answer, describe. The library behind the verbs; it never talks to a terminal."""

from interlock.service.answers import AnswerRequest
from interlock.service.checks import Checked, CheckRequest
from interlock.service.runs import RunRequest
from interlock.service.service import Service

__all__ = ["AnswerRequest", "CheckRequest", "Checked", "RunRequest", "Service"]
