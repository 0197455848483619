"""`interlock verify`, `key`: whether the records of a run are signed and true, and the key that signs them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.exits import Exit
from interlock.cli.targets import runs
from interlock.cli.terminal import note, say
from interlock.ports import UsageError, machine_trouble
from interlock.text.cleaning import plain

if TYPE_CHECKING:
    from interlock.application import Application
    from interlock.service.verification import Finding, Verification
    from interlock.signing import KeyFolder, PublicKeys

_BUNDLE_BYTES_MAX = 200_000_000
_KEY_BYTES_MAX = 100_000
_LINE_MAX = 2_000  # characters
_CODES = {"verified": Exit.ACCEPTED, "wrong": Exit.NO, "unchecked": Exit.INFRASTRUCTURE}
_MARKS = {"verified": "✓", "wrong": "✗", "unchecked": "?"}


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option(
    "--key", "keys", metavar="FILE", multiple=True, help="Trust this public key, and not those of this machine."
)
@click.option("--bundle", metavar="FILE", default="", help="Check records that `export --format in-toto` has written.")
@click.option("--rerun", is_flag=True, help="Ask the hard gates of every accepted tree again, in clean checkouts.")
@click.option("--json", "json", is_flag=True, help="Print JSON.")
def verify(run: str, keys: tuple[str, ...], bundle: str, rerun: bool, json: bool) -> int:
    """Check the signed record of each handoff of RUN, offline: signatures, history, evidence, commits, and what was
    delivered. Default: the only unfinished run, else the newest.

    Exit code 0: all of it is verified; 1: something is wrong; 5: something cannot be checked."""
    from interlock.service.bundles import verify_bundle
    from interlock.service.verification import verify_run

    if bundle and (run or rerun):
        raise UsageError(f"--bundle excludes {'--rerun' if rerun else 'a run'}: give one of them")
    if bundle and not keys:
        raise UsageError("--bundle needs --key FILE: the public key, as `interlock key` prints it where the run was")
    if bundle:
        found = verify_bundle(_read(bundle, _BUNDLE_BYTES_MAX), _given(keys))
    else:
        with application(looks=True) as app:
            name = app.service.latest_run(run).id if not run else _named(app, run)
            found = verify_run(app.sources(_given(keys) if keys else None), name)
            if rerun and found.handoffs:
                found = _judged_again(app, found)
    say(found.as_json() if json else _page(found))
    return _CODES[found.verdict]


@click.command()
@click.option("--rotate", is_flag=True, help="Make a new key. What the former one signed stays trusted.")
@click.option("--revoke", metavar="ID", default="", help="Trust a key no more; a new one is made if it is the current.")
@click.option("--trust", metavar="FILE", default="", help="Trust this public key of another user or machine.")
@click.option("--json", "json", is_flag=True, help="Print all keys as JSON.")
def key(rotate: bool, revoke: str, trust: str, json: bool) -> int:
    """Print the public key that records of handoffs are signed with, for `verify --key`. It is made at first use."""
    import os

    from interlock.service.formats import document
    from interlock.settings import paths_of
    from interlock.signing import KeyFolder

    folder = KeyFolder(paths_of(os.environ).keys)
    if rotate and revoke:
        raise UsageError("--rotate and --revoke exclude each other: --revoke of the current key makes a new one too")
    if trust:
        if rotate or revoke:
            raise UsageError("--trust excludes --rotate and --revoke: give one of them")
        note(f"trusted key {_trust(folder, trust)}: what it signed is verified here from now on")
        return 0
    if revoke:
        _revoke(folder, revoke)
    elif rotate:
        note(f"new key {folder.rotate()}")
    current = folder.signer()
    if json:
        say(document(keys=folder.states(), file=str(folder.file)))
    else:
        say(next(each.public for each in folder.states() if each.id == current.id).rstrip("\n"))
        note(f"key {current.id}, in {folder.file}")
    return 0


def _judged_again(app: Application, found: Verification) -> Verification:
    """With each verdict that would be another today. Says on stderr what each gate says, as it says it."""
    import threading

    from interlock.service.rerun import context_of, rerun, with_verdicts

    history = app.service.history(found.run)
    context = context_of(app.service.pipeline_of(found.run), history, app.environ, app.sandbox_for_reruns())
    again = []
    for one in rerun(app.owner.world, context, history, threading.Event()):
        note(f"{one.attempt}  gate {one.gate.partition('/')[2]} {one.now}")
        again.append(one)
    return with_verdicts(found, again)


def _named(app: Application, name: str) -> str:
    """The id of a run that may be damaged: that is what verify says."""
    from interlock.service.runs import run_named

    app.service.adopt(name)
    return run_named(app.service.run_ids(), name)


def _given(names: tuple[str, ...]) -> PublicKeys:
    from interlock.signing import PublicKeys, Unreadable, read_public_key

    found = {}
    for name in names:
        try:
            key_id, each = read_public_key(_read(name, _KEY_BYTES_MAX))
        except Unreadable as error:
            raise UsageError(f"--key {name}: {error}") from error
        found[key_id] = each
    return PublicKeys(found, {})


def _read(name: str, most: int) -> bytes:
    try:
        if name == "-":
            content = sys.stdin.buffer.read(most + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(most + 1)
    except OSError as error:
        raise machine_trouble(error) or UsageError(f"{name}: it cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise UsageError(f"{name}: it is longer than {most} bytes")
    return content


def _trust(folder: KeyFolder, name: str) -> str:
    from interlock.signing import Unreadable

    try:
        return folder.trust(_read(name, _KEY_BYTES_MAX))
    except Unreadable as error:
        raise UsageError(f"--trust {name}: {error}") from error


def _revoke(folder: KeyFolder, name: str) -> None:
    current = folder.signer().id
    gone = folder.revoke(name)
    note(f"revoked key {gone}: what it signed is trusted no more")
    if gone == current:
        note(f"new key {folder.rotate()}")


# --- the page -------------------------------------------------------------------------------------


def _page(found: Verification) -> Iterator[str]:
    """A line for each handoff, or one for each thing that is wrong with it; then the run itself."""
    from interlock.signing import UNKNOWN

    width = max((len(one.attempt) for one in found.handoffs), default=0)
    for one in found.handoffs:
        if not _said(one):
            signed = f"verified: signed by key {one.key[:12]}"
            yield f"✓ {one.attempt.ljust(width)}  {signed}{f', tree {one.tree[:10]}' if one.tree else ''}"
        yield from _lines(one, one.attempt.ljust(width))
    if found.delivered is not None and not _said(found.itself):
        yield plain(f"✓ {'run'.ljust(width)}  delivered {found.delivered.branch} at {found.delivered.commit[:10]}", 300)
    yield from _lines(found.itself, "run".ljust(width))
    yield _summary(found)
    if any(UNKNOWN in text for one in (*found.handoffs, found.itself) for text in one.problems):
        yield _about_unknown(f"interlock verify {found.run}" if found.run else "interlock verify --bundle FILE")


def _about_unknown(command: str) -> str:
    """What to do if no key here made a signature."""
    import os

    from interlock.settings import paths_of

    return (
        f"  of another user or machine, such as a controller: `interlock key` there prints its public key, `{command}"
        f" --key KEYFILE` trusts it this once, `interlock key --trust KEYFILE` for good; your own, but lost: restore"
        f" {paths_of(os.environ).keys} from a backup"
    )


def _lines(one: Finding, name: str) -> Iterator[str]:
    """What is wrong, and what should be known."""
    for text in _said(one):
        yield plain(f"{_MARKS[one.verdict]} {name}  {text}", _LINE_MAX)
    for text in one.notes:
        yield plain(f"- {name}  {text}", _LINE_MAX)


def _said(one: Finding) -> tuple[str, ...]:
    return (*one.problems, *one.unchecked)


def _summary(found: Verification) -> str:
    from interlock.service.formats import count

    what = f"run {found.run}" if found.run else "the file"
    bad = [one for one in found.handoffs if _said(one)]
    if found.verdict == "verified":
        return f"{what} is verified: {count(len(found.handoffs), 'handoff')}"
    words, why = ("is not verified", "wrong") if found.verdict == "wrong" else ("cannot be verified", "unchecked")
    where = f": {why}: {len(bad)} of {count(len(found.handoffs), 'handoff')}" if bad else ""
    return f"{what} {words}{where}"
