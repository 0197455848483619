"""Pull requests of delivered runs: the branch is pushed, and `gh` opens the pull request.

Rule: it counts as open only if `gh` printed its address. A failure changes nothing of the run, which stays accepted.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from interlock.core.delivery import PullRequest
from interlock.ports import InfrastructureError, Notes, UsageError
from interlock.process import capture_outside
from interlock.readmodel.run import RunPhase, RunView
from interlock.service.service import Service
from interlock.text.cleaning import plain

BODY_MAX = 60_000  # characters; GitHub takes 65,536
_KIND = "pull-request"
_TITLE_MAX = 200
_CALL_S = 120
_REFERENCE = re.compile("&#(?:35|64);")


@dataclass(frozen=True, slots=True)
class Opened:
    """`url` if it is open; else `why` it is not, and the `command` that opens it."""

    url: str = ""
    why: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class PullRequests:
    """`push` gets commit, remote and branch. `lock` is held for a run around what cannot be undone. `folder` is for the
    texts of pull requests."""

    service: Service
    notes: Notes
    push: Callable[[str, str, str], None]
    lock: Callable[[str], AbstractContextManager[object]]
    repository: Path
    folder: Path
    environ: Mapping[str, str]

    def url(self, run: str) -> str:
        """The address of the run's pull request; empty if none was opened."""
        recorded = self.notes.noted(_KIND, run)
        return str(json.loads(recorded)["url"]) if recorded is not None else ""

    def is_missing(self, view: RunView) -> bool:
        """Whether the pipeline wants one of this delivered run, and none was opened."""
        if not view.branch or view.phase is not RunPhase.ACCEPTED or self.url(view.id):
            return False
        return self.service.pipeline_of(view.id).deliver.pull_request is not None

    def open(self, run: str) -> Opened | None:
        """Open the run's pull request, once. None if its pipeline wants none, or it delivered nothing."""
        wanted = self.service.pipeline_of(run).deliver.pull_request
        if wanted is None or self.service.locate_run(run).phase is not RunPhase.ACCEPTED:
            return None
        view = self.service.describe_run(run)
        if not view.branch:
            return None
        if url := self.url(run):
            return Opened(url)
        words = _create_command(wanted, view, self._write_body(view))
        try:
            with self.lock(run):
                if url := self.url(run):  # another process opened it meanwhile
                    return Opened(url)
                url = self._create(wanted, view, words)
                self.notes.note(_KIND, run, json.dumps({"url": url}))
        except (InfrastructureError, UsageError) as error:
            return Opened(why=plain(str(error), 2_000), command=shlex.join(words))
        return Opened(url)

    def _create(self, wanted: PullRequest, view: RunView, words: list[str]) -> str:
        """Its address. Raises InfrastructureError, UsageError."""
        self.push(view.commit, wanted.remote, view.branch)
        if shutil.which(words[0], path=self.environ.get("PATH", "")) is None:
            raise InfrastructureError(
                f"{view.branch} was pushed to {wanted.remote}, but `gh` is not installed: install it, or"
                " open the pull request yourself"
            )
        existing = self._gh(["gh", "pr", "list", f"--head={view.branch}", "--json=url", "--jq=.[].url"])
        url = _address(existing) or _address(self._gh(words))
        if not url:
            raise InfrastructureError(f"gh printed no URL: see `gh pr list --head {view.branch}`")
        return url

    def _gh(self, words: list[str]) -> str:
        environ = {**self.environ, "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1"}
        done = capture_outside(words, cwd=self.repository, env=environ, timeout_s=_CALL_S)
        if done.code != 0:
            why = done.err.decode("utf-8", "replace").strip() or f"exit code {done.code}"
            raise InfrastructureError(f"{' '.join(words[:3])}: {why}")
        return done.out.decode("utf-8", "replace")

    def _write_body(self, view: RunView) -> Path:
        """A file that describes the run. It mentions nobody and refers to no issue, whatever agents wrote."""
        from interlock.service.reports import run_markdown

        text = run_markdown(self.service.pipeline_of(view.id), view)
        text = _REFERENCE.sub(lambda found: f"{found[0]}\N{WORD JOINER}", text)
        if len(text) > BODY_MAX:
            cut = text[:BODY_MAX].rpartition("\n")[0]
            text = f"{cut}\n\nThe rest: `interlock export {view.id} --format markdown`\n"
        path = self.folder / f"{view.id}.md"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InfrastructureError(f"{path}: cannot be written: {error.strerror}") from error
        return path


def _address(output: str) -> str:
    found = re.search(r"https?://[^\s\x00-\x20]+", output)
    return found[0] if found else ""


def _create_command(wanted: PullRequest, view: RunView, body: Path) -> list[str]:
    title = " ".join(plain(view.task, 2_000).split())[:_TITLE_MAX] or view.pipeline
    words = ["gh", "pr", "create", f"--head={view.branch}", f"--title={title}", f"--body-file={body}"]
    words += [f"--base={wanted.base}"] if wanted.base else []
    return [*words, "--draft"] if wanted.draft else words
