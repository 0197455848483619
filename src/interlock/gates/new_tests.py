"""Files that a stage which only `adds` tests may bring.

Rule: tests and data by their names; what fits a name that the stage itself gives to tests, such as `check_*.py`; and an
empty `__init__.py` where tests lie: a runner finds them by it, and nothing can stand in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from interlock.core.globs import matches_any
from interlock.core.judge_files import is_configuration, is_test_code, may_be_added
from interlock.ports import Change, UsageError, Workspaces

_REGULAR = ("100644", "100755")
_NAMES = re.compile(r"\w+[_-]?\*\.py|\*[_-]?\w+\.py")


def may_come(workspaces: Workspaces, commit: str, adds: Sequence[str], change: Change) -> bool:
    """Whether the change adds a file that a stage with these `adds` may bring, as `commit` has it."""
    if change.status != "A" or change.new_mode not in _REGULAR or not matches_any(adds, change.path):
        return False
    path = change.path
    return may_be_added(path) or _has_a_given_name(adds, path) or _is_empty_package(workspaces, commit, path)


def _has_a_given_name(adds: Sequence[str], path: str) -> bool:
    """Whether it fits a pattern of names at any depth, with words in it: no module is called so by chance."""
    names = (glob for glob in adds if _NAMES.fullmatch(glob))
    return matches_any(tuple(names), path) and not is_configuration(path)


def _is_empty_package(workspaces: Workspaces, commit: str, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    if name != "__init__.py" or not folder:
        return False
    try:
        content = workspaces.read(commit, path, 1)
    except UsageError:  # there is more in it
        return False
    return (
        content is not None
        and not content.strip()
        and any(is_test_code(each) for each in workspaces.files(commit, (f"/{folder}/**",)))
    )
