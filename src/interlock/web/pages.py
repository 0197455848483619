"""The pages: runs, a run, an attempt; and the forms that answer. Rule: what others wrote goes through `plain`, and the
templates escape everything."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, quote

import anyio.to_thread
from minijinja import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from interlock.agents.logs import readable
from interlock.core.events import Action, Evidence, Usage
from interlock.core.pipeline import ARTIFACTS
from interlock.core.state import Spending
from interlock.ports import UsageError
from interlock.readmodel.history import AttemptView
from interlock.readmodel.run import OVER, RunPhase, RunView, WaitView, attempt_word, stage_word
from interlock.service import AnswerRequest
from interlock.service.answers import resume_answers
from interlock.service.diffs import is_withheld
from interlock.service.formats import ago, cost, duration
from interlock.text.cleaning import plain
from interlock.web.changes import Changes, Ends, anchor, changes, finding_id
from interlock.web.inbox import fits, groups, progress_words, state_word
from interlock.web.pictures import graph, timeline
from interlock.web.rendering import markdown
from interlock.web.site import Site, site_of

_RUNS_MAX = 500
_FORM_MAX = 100_000  # bytes
_LOG_MAX = 400_000  # characters; a longer log is shown without its middle
_OTHERS_MAX = 20  # attempts of the stage that an attempt can be compared with
_INPUT = "input"
_MARKS = {"passed": "✓", "failed": "✗", "errored": "!"}


def runs(request: Request) -> Response:
    """The newest runs as an inbox, filtered by `q` and `phase`."""
    words, phase = request.query_params.get("q", ""), request.query_params.get("phase", "")
    found = site_of(request).app.service.list_runs(_RUNS_MAX)
    shown = list(groups(run for run in found if fits(run, words, phase)))
    return _page(
        request,
        "runs.html",
        groups=shown,
        needed=sum(len(group.runs) for group in groups(found) if group.id == "needed"),
        total=len(found),
        q=words,
        phase=phase,
        phases=[*RunPhase],
        pipelines=_pipelines(site_of(request)),
    )


def _pipelines(site: Site) -> list[str]:
    from interlock.pipelinefile import find_pipelines

    return [str(path) for path in find_pipelines(site.app.repository)]


def run(request: Request) -> Response:
    """One run with its stages; the page follows the events from the seq that it shows."""
    view = site_of(request).view(request)
    over = view.phase in OVER
    now = time.time()
    shown: dict[str, Any] = {
        "waits": [_wait(wait) for wait in view.waits],
        "over": over,
        "now": now,
        "timeline": timeline(view, now),
    }
    drawn = graph(site_of(request).app.service.pipeline_of(view.id), view)
    return _page(request, "run.html", run=view, stages=view.stages, graph=drawn, **shown)


def attempt(request: Request) -> Response:
    """One attempt: its verdicts, diff, documents and logs."""
    site = site_of(request)
    view = site.view(request)
    made = site.attempt(request, view)
    against = request.query_params.get("against", "") or _INPUT
    change = _change(site, view, made, against) if made.commit else None
    documents = list(_documents(site, view, made)) if made.commit else []
    logs = [(item.name, readable(_log(site, item))) for item in made.evidence if item.name in ("log", "transcript")]
    logs += [
        (f"{verdict.verdict.gate} {item.name}", _log(site, item))
        for verdict in made.verdicts
        for item in verdict.verdict.evidence
        if item.name.endswith(("log", "answer"))
    ]
    brief = next((_log(site, item) for item in made.evidence if item.name == "brief"), "")
    parts: dict[str, Any] = {
        "documents": documents,
        "logs": logs,
        "change": change,
        "references": _references(view, made, against),
        "brief": brief,
        "over": view.phase in OVER,
    }
    return _page(request, "attempt.html", run=view, attempt=made, **parts)


async def start(request: Request) -> Response:
    """The form that starts a run, as `interlock run --detach` does."""
    given = await _form(request)
    if isinstance(given, Response):
        return given
    site = site_of(request)
    run = await anyio.to_thread.run_sync(
        site.app.start_in_background, given.get("task", ""), given.get("pipeline", ""), _inputs(given)
    )
    return RedirectResponse(f"/runs/{quote(run)}", 303)


async def answer(request: Request) -> Response:
    """The forms of the run's page: the answer goes to the inbox, and the run is resumed."""
    given = await _form(request)
    if isinstance(given, Response):
        return given
    site = site_of(request)
    view = site.view(request)
    for answer_request in _requests(view, given, f"{site.person} (web)"):
        site.app.service.answer(site.app.service.describe_run(view.id), answer_request)
    if not site.app.service.owner_of(view.id):
        site.app.drive_in_background(view.id)
    return RedirectResponse(f"/runs/{quote(view.id)}", 303)


def error_page(request: Request, why: str, status: int = 0) -> Response:
    """The page for an error: not found, not possible, or not readable."""
    return _page(request, "wrong.html", status=status or (404 if request.method == "GET" else 400), why=why)


async def _form(request: Request) -> Mapping[str, str] | Response:
    """The fields of the form, or the response that refuses it."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _FORM_MAX:
            return PlainTextResponse("the answer is too long\n", 413)
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    given = {name: value.replace("\r\n", "\n") for name, value in pairs}  # browsers send \r\n
    if not hmac.compare_digest(given.get("csrf", "").encode(), site_of(request).keys.csrf.encode()):
        return PlainTextResponse("this form is of another visit: open the page again\n", 403)
    return given


def _inputs(given: Mapping[str, str]) -> dict[str, str]:
    """The inputs of the form, one in a line. Raises UsageError."""
    pairs = [line.strip().partition("=") for line in given.get("inputs", "").splitlines() if line.strip()]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UsageError(f"{plain(name, 60)}: an input is NAME=VALUE, one in a line")
    return {name: value for name, _, value in pairs}


# --- answers ----------------------------------------------------------------------------------------


def _requests(view: RunView, given: Mapping[str, str], by: str) -> Iterator[AnswerRequest]:
    """The answers of the form. Raises UsageError if it has none."""
    stage, subject = given.get("stage", ""), given.get("subject", "")
    comment, gate = plain(given.get("comment", ""), 10_000), given.get("gate", "")
    match given.get("action", ""):
        case "approve":
            yield AnswerRequest(Action.APPROVE, by, stage, subject, gate, comment)
        case "reject":
            yield AnswerRequest(Action.REJECT, by, stage, subject, gate, comment)
        case "retry":
            yield AnswerRequest(Action.RETRY, by, stage, "", "", comment)
        case "accept":
            yield AnswerRequest(Action.ACCEPT, by, stage, subject, "", comment, override=given.get("override") == "yes")
        case "cancel":
            yield AnswerRequest(Action.CANCEL, by, comment=comment)
        case "continue":
            yield from resume_answers(view, (), by)
        case "raise":
            yield from resume_answers(view, ((given.get("limit", ""), _amount(given.get("amount", ""))),), by)
        case other:
            raise UsageError(f"{plain(other, 40) or 'nothing'} is not an answer")


def _amount(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{plain(text, 40)}: how much more? a number is needed") from None


def _wait(wait: WaitView) -> dict[str, object]:
    """What waits, and the forms that answer it, taken from the commands that it names."""
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


def _change(site: Site, view: RunView, made: AttemptView, against: str) -> Changes:
    """What the attempt changed against its input, the run's base, or another attempt. Raises UsageError."""
    service = site.app.service
    old = made.input_tree if against == _INPUT else service.commit_of(view, against)
    words = f"{made.id}" if against == _INPUT else f"{against} {made.id}"
    ends = Ends(old, service.commit_of(view, str(made.id)), f"interlock diff {view.id} {words}")
    return changes(site.app.workspaces, view, ends, made.verdicts)


def _references(view: RunView, made: AttemptView, against: str) -> list[tuple[str, str, bool]]:
    """What an attempt can be compared with: its name in the address, how it is called, and whether it is now."""
    others = [str(one.id) for one in view.stage(made.id.stage).attempts if one.commit and one.id != made.id]
    names = [(_INPUT, "its input"), ("base", "the run's base"), *((name, name) for name in others[-_OTHERS_MAX:])]
    names += [] if against in dict(names) else [(against, against)]
    return [(name, words, name == against) for name, words in names]


def _documents(site: Site, view: RunView, made: AttemptView) -> Iterator[tuple[str, str, str]]:
    """Name, text, and the text as HTML if it is Markdown."""
    stage = site.app.service.pipeline_of(view.id).stage(made.id.stage)
    for artifact in stage.produces:
        path = PurePosixPath(ARTIFACTS) / stage.id / artifact.file
        content = site.app.workspaces.read(made.commit, str(path), artifact.max_bytes)
        if content is not None and not is_withheld(view, made.commit, str(path)):
            text = plain(content.decode("utf-8", "replace"), _LOG_MAX)
            shown = markdown(text) if path.suffix.lower() in (".md", ".markdown") else ""
            yield f"{stage.id}/{artifact.name}", text, shown


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
        "iso": lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        "ago": lambda at: ago(time.time() - at),
        "money": lambda spent: cost(spent.cost_usd, known=spent.cost_known) if spent.tokens or spent.cost_usd else "",
        "state": state_word,
        "progress": progress_words,
        "lasted": duration,
        "number": lambda number: f"{number:,}",
        "spent": _spent,
        "usage": _usage,
        "mark": lambda status: _MARKS.get(str(status), "?"),
        "gate": lambda name: str(name).rpartition("/")[2],
        "stage_word": lambda stage, run: stage_word(stage, run.phase),
        "attempt_word": lambda attempt, run: attempt_word(attempt, run.phase),
        "anchor": lambda file, line=0: anchor(str(file), line),
        "finding_id": finding_id,
        "attempt_path": lambda attempt: f"attempts/{attempt.id.stage}/{attempt.id.epoch}.{attempt.id.number}",
    }
    for name, made in filters.items():
        environment.add_filter(name, made)
    return environment


def _spent(spent: Spending) -> str:
    parts = [f"{spent.attempts} attempt{'' if spent.attempts == 1 else 's'}"]
    parts += [f"{spent.tokens:,} tokens"] if spent.tokens else []
    if spent.cost_usd or (spent.cost_known and spent.tokens):
        parts.append(cost(spent.cost_usd, known=spent.cost_known))
    return ", ".join(parts)


def _usage(used: Usage) -> str:
    known = [number for number in (used.tokens_in, used.tokens_out) if number is not None]
    parts = [f"{sum(known):,} tokens"] if known else []
    parts += [f"${used.cost_usd:.4f}"] if used.cost_usd is not None else []
    return ", ".join(parts)


ROUTES = (
    Route("/", runs),
    Route("/runs", start, methods=["POST"]),
    Route("/runs/{run}", run),
    Route("/runs/{run}/attempts/{stage}/{number}", attempt),
    Route("/runs/{run}/answers", answer, methods=["POST"]),
)
