"""Who is to blame where setup fails: the files at hand, or the machine.

Rule: the files are, where they alone differ: setup fails on them twice, and then works on the files that they are
compared with. All else is infrastructure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from interlock.ports import InfrastructureError, UnfitSetup
from interlock.workspaces.furnish import CheckoutParts, CheckoutRequest, furnish, setup_input
from interlock.workspaces.setup import SetupFailed, error_line

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Trial:
    """`wanted` is what is tried, `control` what it is compared with, None where there is nothing."""

    wanted: CheckoutRequest
    control: CheckoutRequest | None


def run_trial(parts: CheckoutParts, attempted: Trial, act: Callable[[CheckoutRequest], Done]) -> Done:
    """`act(wanted)`, once more where it fails. Raises UnfitSetup, or what `act` raised."""
    wanted, control = attempted.wanted, attempted.control
    try:
        return act(wanted)
    except SetupFailed as failed:
        if control is None or not _may_differ(parts, wanted, control, failed):
            raise
        last = failed
    if not (last.again or last.by_files or last.slow):
        try:
            return act(replace(wanted, spec=replace(wanted.spec, number=0)))
        except SetupFailed as failed:
            last = failed
    _prove(parts, control, last)
    said = error_line(last.output.decode(errors="replace"))  # first, for the line may be cut
    words = f"{last.what} fails on these files: {said or 'it says nothing'} (on what was accepted last it works)"
    raise UnfitSetup(f"{words}\n{last.why}", last.output) from last


def _may_differ(parts: CheckoutParts, wanted: CheckoutRequest, control: CheckoutRequest, failed: SetupFailed) -> bool:
    """Whether the two trees can be told apart by what failed."""
    if failed.what == "settle" or failed.by_files:
        return wanted.shown != control.shown
    setups = wanted.spec.setup[: failed.index + 1]
    keys = {parts.recipes.key(setups, parts.objects.listing(each.shown)) for each in (wanted, control)}
    return len(keys) > 1


def _prove(parts: CheckoutParts, control: CheckoutRequest, failed: SetupFailed) -> None:
    """Raises InfrastructureError where the control fails too: then nothing is said of the files."""
    setups = control.spec.setup
    try:
        if failed.what == "settle":
            checkout = parts.places.of("setup")
            try:
                furnish(parts, checkout, control)
            finally:
                parts.places.wipe(checkout.root)
        elif not failed.by_files:
            parts.recipes.proved(setups[: failed.index + 1], setup_input(parts, control))
        else:
            parts.recipes.installed(setups[: failed.index + 1], setup_input(parts, control))
    except SetupFailed as error:
        raise InfrastructureError(f"{failed}\n(it fails on the accepted input as well: {error})") from error
