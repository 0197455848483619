"""Reports that programs write: read as what they are, text from a program that a candidate may have steered.

Rule: bounded, no entities, no references, and anything odd is `Unreadable` instead of a guess.
"""

from interlock.gates.reports.found import REPORT_BYTES_MAX, Unreadable, read_report

__all__ = ["REPORT_BYTES_MAX", "Unreadable", "read_report"]
