"""Programs that outlive us: `run --detach` starts its owner this way."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from interlock.process.captured import cannot_start


def detach(argv: Sequence[str], env: Mapping[str, str], log: Path, *, cwd: Path | None = None) -> int:
    """Start `argv` in a session of its own, its output appended to `log`. Returns its pid.

    Raises InfrastructureError (permanent) where the program or `cwd` is missing.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            raise cannot_start(argv, cwd, error) from error
    process.returncode = 0  # not ours to wait for: without this Python would warn that it still runs
    return process.pid
