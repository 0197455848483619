"""Leaked secrets: values that Interlock passed on, in the contents and names of the files that a candidate changed.

Rule: a finding names file, line and variable, and never shows the value. A value that the accepted input contains is no
secret any more, and not the candidate's fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from interlock.conventions.secret_forms import Forms, MaskedChunk, Stream, spans, to_find
from interlock.core.events import Finding
from interlock.gates.context import GateContext
from interlock.ports import Change, GateRequest, secrets_of

_ABSENT = "000000"
_GITLINK = "160000"
_KNOWN_BYTES_MAX = 200_000_000  # of the input that is searched
RULE = "secret"


def judge(context: GateContext, request: GateRequest, changes: Sequence[Change]) -> Iterator[Finding]:
    """A finding for each file and variable."""
    forms = to_find(secrets_of(request.pipeline, context.environ, context.agents))
    paths = [change.path for change in changes if change.new_mode not in (_ABSENT, _GITLINK)]
    if not forms or not paths:
        return
    found = [*_in_names(paths, forms), *_in_contents(context, request.commit, paths, forms)]
    known = _known(context, request.input_commit, forms) if found else frozenset()
    for path, line, name in found:
        if name not in known:
            where = f"{path}:{line}" if line else f"the name of {path}"
            message = f"{where}: contains the value of {name}, which is a secret: remove it, and read it from the"
            yield Finding(RULE, f"{message} environment where it is needed", file=path, line=line)


def _in_names(paths: Sequence[str], forms: Forms) -> Iterator[tuple[str, int, str]]:
    for path in paths:
        for name in dict.fromkeys(span.name for span in spans(path.encode("utf-8", "surrogateescape"), forms)):
            yield path, 0, name


def _in_contents(
    context: GateContext, commit: str, paths: Sequence[str], forms: Forms
) -> Iterator[tuple[str, int, str]]:
    for path, chunks in context.workspaces.contents(commit, paths):
        for name, line in _lines(chunks, forms).items():
            yield path, line, name


def _lines(chunks: Iterable[bytes], forms: Forms) -> dict[str, int]:
    """The first line of each variable's value."""
    found: dict[str, int] = {}
    lines = 1
    for part in _parts(chunks, forms):
        for span in part.spans:
            found.setdefault(span.name, lines + part.content.count(b"\n", 0, span.start))
        lines += part.content.count(b"\n")
    return found


def _parts(chunks: Iterable[bytes], forms: Forms) -> Iterator[MaskedChunk]:
    stream = Stream(forms)
    for chunk in chunks:
        yield stream.feed(chunk)
    yield stream.rest()


def _known(context: GateContext, commit: str, forms: Forms) -> frozenset[str]:
    """The variables whose values the accepted input contains, where anybody can read them."""
    known: set[str] = set()
    remaining = _KNOWN_BYTES_MAX
    for _, chunks in context.workspaces.contents(commit, context.workspaces.files(commit, ("**",))):
        for part in _parts(chunks, forms):
            known.update(span.name for span in part.spans)
            remaining -= len(part.content)
        if remaining < 0:
            break
    return frozenset(known)
