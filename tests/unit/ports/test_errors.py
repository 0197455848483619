"""What the machine refuses is infrastructure, in words that say what would mend it; a defect stays one."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from interlock.ports import (
    Cancelled,
    Damaged,
    DeliveryRefused,
    Fenced,
    InfrastructureError,
    UnfitSetup,
    UnfitTree,
    UsageError,
    as_failure,
    as_infrastructure,
    machine_trouble,
    reports_machine_error,
    started,
)

SHORT = ("EAGAIN", "EMFILE", "ENFILE", "ENOLCK", "ENOMEM", "ENOSPC", "EIO", "EDQUOT", "EROFS", "ENOBUFS", "ESTALE")


def refused(name: str, path: str | None = "/there") -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize("name", SHORT)
def test_what_is_short_is_named_with_what_mends_it(name: str) -> None:
    trouble = machine_trouble(refused(name))
    assert isinstance(trouble, InfrastructureError)
    assert not trouble.permanent
    assert str(trouble).startswith(f"/there: {os.strerror(getattr(errno, name))}: ")
    assert str(trouble).endswith("then try again")


def test_no_thread_and_no_memory() -> None:
    assert "no thread can be started" in str(machine_trouble(RuntimeError("can't start new thread")))
    assert "the memory is full" in str(machine_trouble(MemoryError()))


@pytest.mark.parametrize("error", [RuntimeError("other"), refused("ENOENT"), KeyError("x"), OSError("no number")])
def test_what_may_be_a_defect_stays_one(error: BaseException) -> None:
    assert machine_trouble(error) is None


@pytest.mark.parametrize("error", [refused("ENOENT"), refused("EPERM", None), refused("EIO"), MemoryError()])
def test_within_an_effect_whatever_the_system_refuses_is_infrastructure(error: BaseException) -> None:
    with pytest.raises(InfrastructureError), as_infrastructure():
        raise error


@pytest.mark.parametrize("error", [RuntimeError("other"), KeyError("x"), InfrastructureError("y", permanent=True)])
def test_all_else_passes_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, as_infrastructure():
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("fatal: unable to create thread: Resource temporarily unavailable", True),
        ("error: cannot fork to run pack-objects: Cannot allocate memory", True),
        ("fatal: Unable to create '/x/index.lock': No locks available", True),
        ("fatal: not a git repository (or any of the parent directories): .git", False),
        ("fatal: ambiguous argument 'nope': unknown revision", False),
    ],
)
def test_what_git_says_of_the_machine(said: str, expected: bool) -> None:
    assert reports_machine_error(said) is expected


def test_a_thread_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    thread = threading.Thread(target=print)
    monkeypatch.setattr(threading.Thread, "start", none)
    assert not started(thread)


@pytest.mark.parametrize(
    ("error", "permanent", "undone"),
    [
        (UsageError("wrong"), True, False),
        (UnfitTree(()), True, False),
        (UnfitSetup("its setup fails", b""), True, False),
        (DeliveryRefused("it is there"), True, True),
        (refused("ENOENT"), False, False),
    ],
)
def test_what_an_effect_expects_is_a_failure_that_one_fact_tells(
    error: Exception, permanent: bool, undone: bool
) -> None:
    with pytest.raises(InfrastructureError) as caught, as_failure():
        raise error
    assert (caught.value.permanent, caught.value.undone, caught.value.__cause__) == (permanent, undone, error)


@pytest.mark.parametrize("error", [Fenced("x"), Cancelled("x"), Damaged("x"), KeyError("a defect"), RuntimeError("y")])
def test_what_ends_an_effect_and_what_is_a_defect_goes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, as_failure():
        raise error
    assert caught.value is error
