"""In the program under test: a machine that refuses, and a clock that is wrong.

`REFUSE` is CALL:ERRNO:WORD, in force for arguments that hold WORD, as long as the file `REFUSE_WHILE` is there; if that
holds a number, for so many times. `OFFSET` names a file with seconds that are added to the clock.
"""

import builtins
import errno
import fcntl
import os
import threading
import time
from contextlib import suppress

_real_open, _real_time, _real_unlink = builtins.open, time.time, os.unlink
_CALLS = {"flock": (fcntl, "flock"), "mkdir": (os, "mkdir"), "fork": (os, "fork"), "link": (os, "link")}


def _is_in_force():
    with suppress(OSError), _real_open(os.environ["REFUSE_WHILE"], "r+") as file:
        times = file.read().strip()
        if times == "0":
            return False
        if times:
            file.seek(0)
            file.write(f"{int(times) - 1}\n")
            file.truncate()
        return True
    return False


def _refusing(module, name, number, word):
    real = getattr(module, name)

    def call(*args, **more):
        if word in " ".join(map(str, args)) and _is_in_force():
            raise OSError(number, os.strerror(number), *(args[:1] if name in ("mkdir", "link") else ()))
        return real(*args, **more)

    setattr(module, name, call)


def _without_threads(word):
    real = threading.Thread.start

    def start(self):
        if word in self.name and _is_in_force():
            raise RuntimeError("can't start new thread")
        real(self)

    threading.Thread.start = start


def _now():
    with _real_open(os.environ["OFFSET"]) as file:
        return _real_time() + float(file.read() or 0)


def _give_up_soon():
    """After some of the tries that the engine makes in 12 seconds."""
    from interlock.engines import local

    local.LAUNCHES_MAX = 8


if "REFUSE" in os.environ:
    _call, _name, _word = os.environ["REFUSE"].split(":")
    if _call == "thread":
        _without_threads(_word)
        _give_up_soon()
    else:
        _refusing(*_CALLS[_call], getattr(errno, _name), _word)
if "OFFSET" in os.environ:
    time.time = _now
