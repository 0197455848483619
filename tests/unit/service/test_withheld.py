"""Which files of a candidate are not shown, by what was found in it."""

from __future__ import annotations

import pytest

from interlock.service.withheld import _means


@pytest.mark.parametrize(
    ("told", "path", "means"),
    [
        ("a.py", "a.py", True),
        ("a.py", "b.py", False),
        ("docs/***.txt", "docs/sk-secret.txt", True),  # whose name held it
        ("***", "sk-secret", True),
        ("a[1]***", "a[1]sk-secret", True),
        ("a[1]***", "a1sk-secret", False),
        ("docs/***.txt", "other/sk-secret.txt", False),
    ],
)
def test_a_name_and_what_is_told_of_it(told: str, path: str, means: bool) -> None:
    assert _means(told, path) is means
