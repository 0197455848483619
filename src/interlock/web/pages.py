"""The pages: runs, a run, an attempt; and the forms that answer. Rule: what others wrote goes through `plain`, and the
templates escape everything."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, quote

from minijinja import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from interlock.core.events import Action, Evidence, Usage
from interlock.core.history import AttemptView
from interlock.core.state import Spent
from interlock.core.text import plain
from interlock.core.views import RunPhase, RunView, WaitView
from interlock.ports import UsageError
from interlock.service import Said
from interlock.service.answers import going_on
from interlock.web.site import Site, site_of

_RUNS_MAX = 500
_FORM_MAX = 100_000  # bytes
_DIFF_LINES_MAX = 5_000
_LOG_MAX = 400_000  # characters; of a longer one its two ends
_OVER = (RunPhase.ACCEPTED, RunPhase.CANCELLED, RunPhase.STOPPED)
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)")
_MARKS = {"passed": "✓", "failed": "✗", "errored": "!"}


@dataclass(frozen=True, slots=True)
class Line:
    """Of a diff. `anchor` is FILE:LINE of the new side, empty where there is none."""

    kind: str  # file | hunk | added | removed | same
    text: str
    anchor: str = ""


def runs(request: Request) -> Response:
    """The newest runs, newest first, narrowed by `q` and `phase`."""
    words, phase = request.query_params.get("q", "").lower(), request.query_params.get("phase", "")
    found = site_of(request).app.service.list_runs(_RUNS_MAX)
    shown = [
        run
        for run in found
        if (not phase or run.phase == phase) and words in f"{run.id} {run.pipeline} {run.task}".lower()
    ]
    history = list(reversed(found[:60]))
    return _page(request, "runs.html", runs=shown, history=history, q=words, phase=phase, phases=[*RunPhase])


def run(request: Request) -> Response:
    """One run with its stages; it follows the events from the seq that it shows."""
    view = site_of(request).view(request)
    over = view.phase in _OVER
    waits = [_wait(wait) for wait in view.waits]
    return _page(request, "run.html", run=view, stages=view.stages, waits=waits, over=over, now=time.time())


def attempt(request: Request) -> Response:
    """One attempt: verdicts, what it changed, its documents, what it printed."""
    site = site_of(request)
    view = site.view(request)
    made = site.attempt(request, view)
    changed = list(_changes(site, view, made)) if made.commit else []
    documents = list(_documents(site, view, made)) if made.commit else []
    logs = [(item.name, _log(site, item)) for item in made.evidence if item.name == "log"]
    logs += [
        (f"{verdict.verdict.gate} {item.name}", _log(site, item))
        for verdict in made.verdicts
        for item in verdict.verdict.evidence
        if item.name.endswith(("log", "answer"))
    ]
    known = frozenset(line.anchor for line in changed if line.anchor)
    return _page(
        request, "attempt.html", run=view, attempt=made, lines=changed, documents=documents, logs=logs, anchors=known
    )


async def answer(request: Request) -> Response:
    """A form of the run's page: into the inbox, and the run goes on."""
    site = site_of(request)
    view = site.view(request)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _FORM_MAX:
            return PlainTextResponse("the answer is too long\n", 413)
    given = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if not hmac.compare_digest(given.get("csrf", "").encode(), site.keys.csrf.encode()):
        return PlainTextResponse("this form is of another visit: open the page again\n", 403)
    for said in _said(view, given, f"{site.person} (web)"):
        site.app.service.answer(site.app.service.describe_run(view.id), said)
    if not site.app.service.owner_of(view.id):
        site.app.go_on(view.id)
    return RedirectResponse(f"/runs/{quote(view.id)}", 303)


def wrong_page(request: Request, why: str) -> Response:
    """What was asked for is not there, or cannot be done."""
    return _page(request, "wrong.html", status=404 if request.method == "GET" else 400, why=why)


# --- answers ----------------------------------------------------------------------------------------


def _said(view: RunView, given: Mapping[str, str], by: str) -> Iterator[Said]:
    """What the form says. Raises UsageError where it says nothing."""
    stage, subject = given.get("stage", ""), given.get("subject", "")
    comment, gate = plain(given.get("comment", ""), 10_000), given.get("gate", "")
    match given.get("action", ""):
        case "approve":
            yield Said(Action.APPROVE, by, stage, subject, gate, comment)
        case "reject":
            yield Said(Action.REJECT, by, stage, subject, gate, comment)
        case "retry":
            yield Said(Action.RETRY, by, stage, "", "", comment)
        case "accept":
            yield Said(Action.ACCEPT, by, stage, subject, "", comment, override=given.get("override") == "yes")
        case "cancel":
            yield Said(Action.CANCEL, by, comment=comment)
        case "continue":
            yield from going_on(view, (), by)
        case "raise":
            yield from going_on(view, ((given.get("limit", ""), _amount(given.get("amount", ""))),), by)
        case other:
            raise UsageError(f"{plain(other, 40) or 'nothing'} is no answer")


def _amount(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{plain(text, 40)}: how much more? a number is needed") from None


def _wait(wait: WaitView) -> dict[str, object]:
    """What waits, and which forms answer it: as the command lines that it names."""
    verbs = {line.split()[1] for line in wait.commands}
    newest = next((line.split()[3] for line in wait.commands if line.startswith("interlock accept")), "")
    limit = wait.detail.split(":", 1)[0] if wait.reason == "limit" else ""
    return {
        "wait": wait,
        "verbs": verbs,
        "accept": newest,
        "override": any("--override" in line for line in wait.commands),
        "limit": limit,
    }


# --- an attempt -------------------------------------------------------------------------------------


def _changes(site: Site, view: RunView, made: AttemptView) -> Iterator[Line]:
    patch = site.app.workspaces.patch(made.input_tree, site.app.service.commit_of(view, str(made.id)))
    file, number = "", 0
    for count, text in enumerate(plain(patch.decode("utf-8", "replace"), 20_000_000).split("\n")):
        if count >= _DIFF_LINES_MAX:
            yield Line("hunk", f"more lines: interlock diff {view.id} {made.id}")
            return
        if text.startswith("+++ "):
            file, number = text.removeprefix("+++ ").removeprefix("b/"), 0
            yield Line("file", text)
        elif found := _HUNK.match(text):
            number = int(found[1])
            yield Line("hunk", text)
        elif not number:
            yield Line("file", text)
        elif text.startswith("-"):
            yield Line("removed", text)
        else:
            yield Line("added" if text.startswith("+") else "same", text, f"{file}:{number}")
            number += 1


def _documents(site: Site, view: RunView, made: AttemptView) -> Iterator[tuple[str, str]]:
    stage = site.app.service.pipeline_of(view.id).stage(made.id.stage)
    for artifact in stage.produces:
        path = PurePosixPath(".interlock/artifacts") / stage.id / artifact.file
        content = site.app.workspaces.read(made.commit, str(path), artifact.max_bytes)
        if content is not None:
            yield f"{stage.id}/{artifact.name}", plain(content.decode("utf-8", "replace"), _LOG_MAX)


def _log(site: Site, item: Evidence) -> str:
    try:
        return plain(site.app.blobs.get(item.digest).decode("utf-8", "replace"), _LOG_MAX)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


# --- rendering --------------------------------------------------------------------------------------


def _page(request: Request, name: str, status: int = 200, **parts: object) -> Response:
    site = site_of(request)
    common = {"csrf": site.keys.csrf, "repository": site.app.repository.name, "path": request.url.path}
    return HTMLResponse(_templates().render_template(name, **common, **parts), status)


@cache
def _templates() -> Environment:
    folder = resources.files("interlock.web").joinpath("templates")
    pages = {item.name: item.read_text(encoding="utf-8") for item in folder.iterdir() if item.name.endswith(".html")}
    environment = Environment(templates=pages)
    filters: dict[str, Callable[..., str]] = {
        "plain": lambda text, limit=400: plain(str(text), limit),
        "moment": lambda at: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)),
        "lasted": _lasted,
        "spent": _spent,
        "usage": _usage,
        "mark": lambda status: _MARKS.get(str(status), "?"),
        "gate": lambda name: str(name).rpartition("/")[2],
        "attempt_path": lambda attempt: f"attempts/{attempt.id.stage}/{attempt.id.epoch}.{attempt.id.number}",
    }
    for name, made in filters.items():
        environment.add_filter(name, made)
    return environment


def _lasted(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{max(0.0, seconds):.1f} s" if seconds < 10 else f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _spent(spent: Spent) -> str:
    said = [f"{spent.attempts} attempt{'' if spent.attempts == 1 else 's'}"]
    said += [f"{spent.tokens:,} tokens"] if spent.tokens else []
    if spent.cost_usd or (spent.cost_known and spent.tokens):
        said.append(f"{'' if spent.cost_known else 'at least '}${spent.cost_usd:.2f}")
    return ", ".join(said)


def _usage(used: Usage) -> str:
    known = [number for number in (used.tokens_in, used.tokens_out) if number is not None]
    said = [f"{sum(known):,} tokens"] if known else []
    said += [f"${used.cost_usd:.4f}"] if used.cost_usd is not None else []
    return ", ".join(said)


ROUTES = (
    Route("/", runs),
    Route("/runs/{run}", run),
    Route("/runs/{run}/attempts/{stage}/{number}", attempt),
    Route("/runs/{run}/answers", answer, methods=["POST"]),
)
