""".ci/run with programs that only say their names, in place of those that take minutes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = [
    "scripts/bootstrap", "scripts/lint", "scripts/test",
    ".ci/05-install", ".ci/10-demo", ".ci/31-chromium", ".ci/40-agents",
]  # fmt: skip
SAYS = '#!/bin/sh\necho "said $0"\n[ "${0##*/}" != "$FAILS" ]\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in (*PARTS, ".venv/bin/python"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SAYS)
        path.chmod(0o755)
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    return tmp_path


def ran(project: Path, fails: str) -> tuple[int, str]:
    done = subprocess.run(
        [project / ".ci/run"], env={"PATH": "/usr/bin:/bin", "FAILS": fails}, check=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_every_part_runs_and_its_output_is_shown(project: Path) -> None:
    code, said = ran(project, "")
    assert code == 0, said
    assert [said.count(f"said ./{name}\n") for name in PARTS] == [1] * len(PARTS), said
    assert said.index("said ./scripts/lint\n") < said.index("said ./scripts/test\n")


@pytest.mark.parametrize("name", [*PARTS, ".venv/bin/python"])
def test_no_part_fails_unseen(project: Path, name: str) -> None:
    code, said = ran(project, name.rpartition("/")[2])
    assert code != 0, said
    assert f"said ./{name}\n" in said or f"said {name}\n" in said, said


def test_tests_begin_while_agents_are_installed_and_can_see_when_they_are(project: Path) -> None:
    (project / ".ci/40-agents").write_text(
        "#!/bin/sh\nfor second in 1 2 3 4 5 6 7 8 9; do [ -e begun ] && exit 0; sleep 1; done\nexit 1\n"
    )
    (project / "scripts/test").write_text(
        "#!/bin/sh\nls $AGENTS_INSTALLING && touch begun\n"
        'for second in 1 2 3 4 5 6 7 8 9; do [ -e "$AGENTS_INSTALLING" ] || exit 0; sleep 1; done\nexit 1\n'
    )
    code, said = ran(project, "")
    assert code == 0, said
