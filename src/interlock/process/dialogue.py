"""A long-lived trusted program that is asked on its stdin and answers on its stdout.

For `git cat-file --batch-command`: one process in place of one for each object. It ends when its stdin
closes, so it cannot outlive us.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, cast

from interlock.ports import InfrastructureError


class Dialogue:
    """Owns the program; `close` ends it. In a process group of its own, so that Ctrl-C is not for it."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str]) -> None:
        self._name = " ".join(argv[:2])
        try:
            self._program = subprocess.Popen(
                argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
            )
        except FileNotFoundError as error:
            raise InfrastructureError(
                f"{argv[0]}: not found: install it, or put it on the PATH", permanent=True
            ) from error
        except OSError as error:
            raise InfrastructureError(f"{argv[0]}: cannot be started: {error.strerror}") from error
        self._asks = cast(IO[bytes], self._program.stdin)
        self._answers = cast(IO[bytes], self._program.stdout)

    def ask(self, question: bytes) -> None:
        """Send `question`, at most about 60 kB while its answers are not read. Raises InfrastructureError."""
        try:
            self._asks.write(question)
            self._asks.flush()
        except OSError as error:
            raise self._gone() from error

    def line(self) -> bytes:
        """The next line of the answer, without its end. Raises InfrastructureError where the program ended."""
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise self._gone()
        return line[:-1]

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes of the answer. Raises InfrastructureError where the program ended."""
        content = self._answers.read(size)
        if len(content) != size:
            raise self._gone()
        return content

    def close(self) -> None:
        """End the program; answers that were not read are lost."""
        with contextlib.suppress(OSError):  # it may be gone already, which is what is asked for
            self._asks.close()
        self._program.kill()
        self._program.wait()
        self._answers.close()

    def _gone(self) -> InfrastructureError:
        return InfrastructureError(f"{self._name}: ended in the middle of an answer")
