"""The pull request of a run that was delivered: the branch is pushed, and `gh` opens it, or its command is shown.

Rule: it is said to be open only where `gh` told its address. What goes wrong changes nothing of the run, which stays
accepted.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.bootstrap import Application
from interlock.cli.report import markdown
from interlock.core.pipeline import PullRequest
from interlock.core.text import plain
from interlock.core.views import RunPhase, RunView
from interlock.ports import InfrastructureError, UsageError

BODY_MAX = 60_000  # characters; GitHub takes 65,536
_KIND = "pull-request"
_TITLE_MAX = 200
_CALL_S = 120
_REFERENCE = re.compile("&#(?:35|64);")


@dataclass(frozen=True, slots=True)
class Proposal:
    """`url` where it is open; else `why` it is not, and the `command` that opens it."""

    url: str = ""
    why: str = ""
    command: str = ""

    def lines(self) -> list[str]:
        if self.url:
            return [f"pull request: {self.url}"]
        return [f"no pull request was opened: {self.why}", f"  {self.command}"]


def proposed(app: Application, run: str) -> str:
    """The address of the run's pull request, empty where none was opened."""
    kept = app.journal.recall(_KIND, run)
    return str(json.loads(kept)["url"]) if kept is not None else ""


def standing(app: Application, view: RunView) -> list[str]:
    """What there is to say of the run's pull request, in no line or one."""
    if url := proposed(app, view.id):
        return [f"pull request: {url}"]
    wanted = app.service.pipeline_of(view.id).deliver.pull_request
    if wanted is None or not view.branch or view.phase is not RunPhase.ACCEPTED:
        return []
    return [f"pull request: none was opened: interlock resume {view.id} tries once more"]


def propose(app: Application, run: str) -> Proposal | None:
    """Open the run's pull request, once. None where its pipeline wants none, or it delivered nothing."""
    wanted = app.service.pipeline_of(run).deliver.pull_request
    if wanted is None or app.service.locate_run(run).phase is not RunPhase.ACCEPTED:
        return None
    view = app.service.describe_run(run)
    if not view.branch:
        return None
    if url := proposed(app, run):
        return Proposal(url)
    words = _words(wanted, view, _body(app, view))
    try:
        with app.owner.effects(run):
            if url := proposed(app, run):  # by another one meanwhile
                return Proposal(url)
            url = _opened(app, wanted, view, words)
            app.journal.remember(_KIND, run, json.dumps({"url": url}))
    except (InfrastructureError, UsageError) as error:
        return Proposal(why=plain(str(error), 2_000), command=shlex.join(words))
    return Proposal(url)


def _opened(app: Application, wanted: PullRequest, view: RunView, words: list[str]) -> str:
    """Its address. Raises InfrastructureError, UsageError."""
    app.workspaces.propose(view.commit, wanted.remote, view.branch)
    environ = {**app.environ, "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1"}
    if shutil.which(words[0], path=environ.get("PATH", "")) is None:
        raise InfrastructureError(
            f"{view.branch} was pushed to {wanted.remote}, but gh is not installed: install it, or open it by hand"
        )
    there = _ask(app, environ, ["gh", "pr", "list", f"--head={view.branch}", "--json=url", "--jq=.[].url"])
    url = _address(there) or _address(_ask(app, environ, words))
    if not url:
        raise InfrastructureError(f"gh told no address: see `gh pr list --head {view.branch}`")
    return url


def _ask(app: Application, environ: Mapping[str, str], words: list[str]) -> str:
    from interlock.process import capture

    done = capture(words, cwd=app.repository, env=environ, timeout_s=_CALL_S)
    if done.code != 0:
        said = done.err.decode("utf-8", "replace").strip() or f"exit code {done.code}"
        raise InfrastructureError(f"{' '.join(words[:3])}: {said}")
    return done.out.decode("utf-8", "replace")


def _address(said: str) -> str:
    found = re.search(r"https?://[^\s\x00-\x20]+", said)
    return found[0] if found else ""


def _words(wanted: PullRequest, view: RunView, body: Path) -> list[str]:
    title = " ".join(plain(view.task, 2_000).split())[:_TITLE_MAX] or view.pipeline
    words = ["gh", "pr", "create", f"--head={view.branch}", f"--title={title}", f"--body-file={body}"]
    words += [f"--base={wanted.base}"] if wanted.base else []
    return [*words, "--draft"] if wanted.draft else words


def _body(app: Application, view: RunView) -> Path:
    """A file with what the run was: it names nobody and refers to nothing, whatever agents wrote."""
    text = _REFERENCE.sub(lambda found: f"{found[0]}\N{WORD JOINER}", markdown(app.service.pipeline_of(view.id), view))
    if len(text) > BODY_MAX:
        text = f"{text[:BODY_MAX].rpartition(chr(10))[0]}\n\nThe rest: `interlock export {view.id} --format markdown`\n"
    path = app.state / "pull-requests" / f"{view.id}.md"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be written: {error.strerror}") from error
    return path
