"""A Python for the projects of tests, with all that ours has but the plugins that its pytest would load each time.

A user's project has none of hypothesis, xdist and anyio; without them pytest starts in half the time. Plugins that a
candidate brings are loaded as ever.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path


def plain_python(folder: Path) -> Path:
    """The folder of its programs, `python` and `python3`: an environment in `folder`, of links to our packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(folder)], check=True)
    ours = Path(sysconfig.get_path("purelib"))
    packages = folder / ours.relative_to(sys.prefix)
    for path in ours.iterdir():
        if not _is_plugin(path):
            (packages / path.name).symlink_to(path)
    return folder / "bin"


def _is_plugin(path: Path) -> bool:
    declared = path / "entry_points.txt"
    return path.suffix == ".dist-info" and declared.is_file() and "[pytest11]" in declared.read_text(encoding="utf-8")
