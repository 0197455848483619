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
from urllib.parse import parse_qsl, quote, urlencode

import anyio.to_thread
from minijinja import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from interlock.agents.logs import readable
from interlock.core.events import Evidence, Usage
from interlock.core.feedback import passed_limit
from interlock.core.pipeline import ARTIFACTS
from interlock.core.state import Spending
from interlock.gates.reports import FILE_MAX
from interlock.ports import InfrastructureError, InterlockError, UsageError
from interlock.readmodel.history import AttemptView
from interlock.readmodel.run import OVER, RunPhase, RunView, attempt_word, stage_word
from interlock.service.diffs import is_withheld
from interlock.service.formats import ago, cost, done, duration, ordinal
from interlock.text.cleaning import clean, plain, visible
from interlock.text.names import person
from interlock.web.changes import Changes, Ends, changes
from interlock.web.decisions import TAKES, Stale, put
from interlock.web.evidence import newest_verdicts
from interlock.web.findings import anchor, finding_id, grouped, message, told
from interlock.web.inbox import fits, groups, progress_words
from interlock.web.pictures import graph, timeline
from interlock.web.rendering import markdown
from interlock.web.run_parts import run_parts, unseen
from interlock.web.site import Site, site_of
from interlock.web.standing import begun, limit_words, moment, standing, state_word, worked

_RUNS_MAX = 500
_FORM_MAX = 100_000  # bytes
_LOG_MAX = 400_000  # characters; a longer log is shown without its middle
_OTHERS_MAX = 20  # attempts of the stage that an attempt can be compared with
_INPUT = "input"
_HEADLINE_MAX = 160  # characters
_TYPED = {"mark": 100, "comment": 10_000, "amount": 40, "answered": 100}  # fields that the page shows again
_MARKS = {"passed": "✓", "failed": "✗", "errored": "!"}


def runs(request: Request) -> Response:
    """The newest runs as an inbox, filtered by `q` and `phase`."""
    return _runs_page(request)


def _runs_page(request: Request, status: int = 200, trouble: str = "", **typed: str) -> Response:
    """`trouble` says why the form `typed` was refused."""
    words, phase = request.query_params.get("q", ""), request.query_params.get("phase", "")
    found = site_of(request).app.service.list_runs(_RUNS_MAX)
    shown = list(groups(run for run in found if fits(run, words, phase)))
    return _page(
        request,
        "runs.html",
        status,
        groups=shown,
        trouble=trouble,
        typed={name: plain(typed.get(name, ""), _FORM_MAX) for name in ("task", "pipeline", "inputs")},
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
    """One run: its state, what waits, why, its stages; the page follows the events from the seq that it shows."""
    site = site_of(request)
    try:
        view = site.view(request)
    except InfrastructureError as error:
        return _unreadable_page(request, error)
    return _run_page(request, view, answered=request.query_params.get("answer", ""))


def attempt(request: Request) -> Response:
    """One attempt: its verdicts, diff, documents and logs."""
    site = site_of(request)
    view = site.view(request)
    made = site.attempt(request, view)
    against = request.query_params.get("against", "") or _INPUT
    more = tuple(request.query_params.getlist("more"))
    change = _change(site, view, made, against, more) if made.commit else None
    documents = list(_documents(site, view, made)) if made.commit else []
    logs = [
        (item.name, clean(readable(_log(site, item)))) for item in made.evidence if item.name in ("log", "transcript")
    ]
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


def verification(request: Request) -> Response:
    """The signed record of each handoff, checked now."""
    found = site_of(request).verification(request)
    return _page(request, "verification.html", found=found, rows=[(one, quote(one.attempt)) for one in found.handoffs])


async def start(request: Request) -> Response:
    """The form that starts a run, as `interlock run --detach` does."""
    given = await _form(request)
    if isinstance(given, Response):
        return given
    return await anyio.to_thread.run_sync(_start, request, given)


def _start(request: Request, given: Mapping[str, str]) -> Response:
    """A redirect to the run; if it cannot start, the list with what was typed."""
    start_run = site_of(request).app.start_in_background
    try:
        run = start_run(given.get("task", ""), given.get("pipeline", ""), _inputs(given))
    except InterlockError as error:
        return _runs_page(request, 400, str(error), **given)
    return RedirectResponse(f"/runs/{quote(run)}", 303)


def answers(request: Request) -> Response:
    """Whoever opens the address of a form that was sent is led to the run."""
    return RedirectResponse(f"/runs/{quote(request.path_params['run'])}#answers", 303)


async def answer(request: Request) -> Response:
    """The forms of the run's page: the answer goes to the inbox, and the run is resumed."""
    given = await _form(request)
    if isinstance(given, Response):
        return given
    return await anyio.to_thread.run_sync(_answer, request, given)


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


# --- a run ------------------------------------------------------------------------------------------


def _answer(request: Request, given: Mapping[str, str]) -> Response:
    """A redirect to what became of the answer; if it is refused, the page again, with what was typed."""
    site = site_of(request)
    run = request.path_params["run"]
    site.app.service.histories.forget(run)  # it may be damaged by now: then nothing is recorded
    view = site.view(request)
    try:
        taken = given.get(TAKES.get(given.get("action", ""), ""), "")
        left = unseen(site.app, view, taken) if taken else ""
        put_id = put(site.app.service, view, given, f"{site.person} (web)", time.time(), left)
    except UsageError as error:
        newer, typed = site.view(request), {name: given.get(name, "") for name in _TYPED}
        return _run_page(request, newer, 409 if isinstance(error, Stale) else 400, str(error), **typed)
    if not site.app.service.follower_of(view.id):
        site.app.drive_in_background(view.id)
    more = f"?{urlencode({'answer': put_id})}" if put_id else ""
    return RedirectResponse(f"/runs/{quote(view.id)}{more}", 303)


def _run_page(request: Request, view: RunView, status: int = 200, trouble: str = "", **given: str) -> Response:
    """`trouble` says why the form `given` was refused; `answered` in it is an answer that was given just before."""
    site = site_of(request)
    now = time.time()
    parts = run_parts(site.app, view, given.get("mark", ""), now)
    pictures = {"graph": graph(site.app.service.pipeline_of(view.id), view), "timeline": timeline(view, now)}
    typed = {name: plain(given.get(name, ""), most) for name, most in _TYPED.items()}
    return _page(request, "run.html", status, run=view, now=now, trouble=trouble, typed=typed, **parts, **pictures)


def _unreadable_page(request: Request, error: InfrastructureError) -> Response:
    """A run whose history is damaged, or of another version. Raises the error if it is not known to be either."""
    name = request.path_params["run"]
    listed = (one for one in site_of(request).app.service.list_runs(_RUNS_MAX) if one.id == name)
    found = next((one for one in listed if not one.is_readable), None)
    if found is None:
        raise error
    return _page(request, "unreadable.html", 500, run=found, standing=standing(found))


# --- an attempt -------------------------------------------------------------------------------------


def _change(site: Site, view: RunView, made: AttemptView, against: str, more: tuple[str, ...]) -> Changes:
    """What the attempt changed against its input, the run's base, or another attempt, with `more` lines. Raises
    UsageError."""
    service = site.app.service
    old = made.input_tree if against == _INPUT else service.commit_of(view, against)
    words = f"{made.id}" if against == _INPUT else f"{against} {made.id}"
    address = f"{_address(view, made)}?{urlencode({'against': against})}&"
    ends = Ends(old, service.commit_of(view, str(made.id)), f"interlock diff {view.id} {words}", address, more)
    return changes(site.app.workspaces, view, ends, made.verdicts)


def _references(view: RunView, made: AttemptView, against: str) -> list[tuple[str, str, bool]]:
    """What an attempt can be compared with: its name in the address, how it is called, and whether it is now."""
    others = [str(one.id) for one in view.stage(made.id.stage).attempts if one.commit and one.id != made.id]
    names = [(_INPUT, "its input"), ("base", "the run's base"), *((name, name) for name in others[-_OTHERS_MAX:])]
    names += [] if against in dict(names) else [(against, against)]
    return [(name, words, name == against) for name, words in names]


def _documents(site: Site, view: RunView, made: AttemptView) -> Iterator[tuple[str, str, str]]:
    """Name, text, and the text as HTML if it is Markdown and not too long."""
    stage = site.app.service.pipeline_of(view.id).stage(made.id.stage)
    for artifact in stage.produces:
        path = PurePosixPath(ARTIFACTS) / stage.id / artifact.file
        content = site.app.workspaces.read(made.commit, str(path), artifact.max_bytes)
        if content is not None and not is_withheld(site.app.workspaces, view, made.commit, str(path)):
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
    common = {
        "csrf": site.keys.csrf,
        "repository": site.app.repository.name,
        "path": request.url.path,
        "me": site.person,
    }
    return HTMLResponse(_templates().render_template(name, **common, **parts), status)


@cache
def _templates() -> Environment:
    folder = resources.files("interlock.web").joinpath("templates")
    pages = {item.name: item.read_text(encoding="utf-8") for item in folder.iterdir() if item.name.endswith(".html")}
    environment = Environment(templates=pages)
    filters: dict[str, Callable[..., object]] = {
        "plain": lambda text, limit=400: plain(str(text), limit),
        "shown_path": lambda path: plain(visible(path), FILE_MAX),
        "moment": moment,
        "iso": lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        "ago": lambda at: ago(time.time() - at),
        "money": lambda spent: cost(spent.cost_usd, known=spent.cost_known) if spent.tokens or spent.cost_usd else "",
        "state": state_word,
        "progress": progress_words,
        "headline": _headline,
        "person": person,
        "words": lambda name: str(name).replace("_", " "),
        "limit_words": limit_words,
        "begun": begun,
        "worked": worked,
        "newest_verdicts": newest_verdicts,
        "message": message,
        "passed_limit": passed_limit,
        "told": told,
        "grouped": grouped,
        "sentence": lambda text: text[:1].upper() + text[1:],
        "lasted": duration,
        "ordinal": ordinal,
        "number": lambda number: f"{number:,}",
        "spent": _spent,
        "usage": _usage,
        "mark": lambda status: _MARKS.get(str(status), "?"),
        "gate": lambda name: str(name).rpartition("/")[2],
        "stage_word": lambda stage, run: stage_word(stage, run.phase),
        "attempt_word": lambda attempt, run: attempt_word(attempt, run.phase),
        "anchor": lambda file, line=0: anchor(plain(str(file), FILE_MAX), line),  # as findings name it
        "finding_id": finding_id,
        "attempt_path": _attempt_path,
        "gate_path": _gate_path,
        "finding_path": _finding_path,
    }
    for name, made in filters.items():
        environment.add_filter(name, made)
    return environment


def _attempt_path(attempt: AttemptView) -> str:
    return f"attempts/{attempt.id.stage}/{attempt.id.epoch}.{attempt.id.number}"


def _address(run: RunView | str, attempt: AttemptView) -> str:
    return f"/runs/{run if isinstance(run, str) else run.id}/{_attempt_path(attempt)}"


def _gate_path(run: RunView | str, attempt: AttemptView, gate: str) -> str:
    """The address of the newest verdict of a gate."""
    number = max((one.verdict.number for one in attempt.verdicts if one.verdict.gate == gate), default=1)
    return f"{_address(run, attempt)}#gate-{gate.rpartition('/')[2]}{f'.{number}' if number > 1 else ''}"


def _finding_path(run: RunView | str, attempt: AttemptView, gate: str, number: int) -> str:
    """The address of a finding of the newest verdict of a gate."""
    newest = next((one for one in reversed(attempt.verdicts) if one.verdict.gate == gate), None)
    return f"{_address(run, attempt)}#{finding_id(newest, number)}" if newest else _address(run, attempt)


def _headline(task: str, most: int = _HEADLINE_MAX) -> str:
    """The first line of a task, cut at a word to `most` characters."""
    first = next((line.strip() for line in plain(task, 20_000).splitlines() if line.strip()), "No task")
    if len(first) <= most:
        return first
    return f"{first[:most].rpartition(' ')[0] or first[:most]} ..."


def _spent(spent: Spending, reviews: int = 0) -> str:
    parts = [done(spent.attempts, reviews)]
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
    Route("/runs", lambda _: RedirectResponse("/", 303)),
    Route("/runs", start, methods=["POST"]),
    Route("/runs/{run}", run),
    Route("/runs/{run}/attempts/{stage}/{number}", attempt),
    Route("/runs/{run}/verification", verification),
    Route("/runs/{run}/answers", answers),
    Route("/runs/{run}/answers", answer, methods=["POST"]),
)
