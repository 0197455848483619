"""`interlock run` and `resume`: start a run, or continue one, and follow it to its end."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.application import application
from interlock.cli.targets import pipelines, runs
from interlock.cli.terminal import note
from interlock.ports import InfrastructureError, UsageError, machine_trouble

if TYPE_CHECKING:
    from interlock.application import Application
    from interlock.cli.screens import DisplayOptions
    from interlock.core.pipeline import Pipeline
    from interlock.readmodel.run import RunSummary
    from interlock.service import AnswerRequest, RunRequest
    from interlock.settings import Settings

_SHOWN_MAX = 200  # characters of a task in a command to type
_TASK_BYTES_READ_MAX = 1_000_000  # more than any task may have: an endless file is not read to its end

_sandbox = click.option(
    "--sandbox", type=click.Choice(["full", "fs", "none"]), help="How agents and gates are confined. Default: full."
)


@click.command()
@click.argument("words", metavar="[TASK]", nargs=-1)
@click.option("-t", "--task", metavar="TEXT", help="The task; @FILE reads it from a file.")
@click.option("--task-file", metavar="FILE", type=click.Path(dir_okay=False), help="A file with the task; - is stdin.")
@click.option("-i", "--input", "inputs", metavar="KEY=VALUE", multiple=True, help="An input of the pipeline.")
@click.option(
    "-p",
    "--pipeline",
    "name",
    metavar="NAME",
    default="",
    help="Which pipeline, by name or path.",
    shell_complete=pipelines,
)
@click.option("--base", metavar="REF", help="Start from this commit; `worktree` includes uncommitted changes.")
@click.option("--until", metavar="STAGE", default="", help="Leave out all stages after this one.")
@click.option("-d", "--detach", "detach", is_flag=True, help="Run in the background.")
@click.option(
    "--engine", type=click.Choice(["local", "temporal"]), help="Where the run is driven. Default: that of the settings."
)
@click.option("--dry-run", is_flag=True, help="Show what the run would do, without starting it.")
@_sandbox
@click.option("--plain", is_flag=True, help="Print one line for each event, without a live view.")
@click.option("--json", "json", is_flag=True, help="Print events as NDJSON on stdout.")
def run(
    words: tuple[str, ...], task: str | None, task_file: str | None, inputs: tuple[str, ...], name: str,
    base: str | None, until: str, detach: bool, engine: str | None, dry_run: bool, sandbox: str | None, plain: bool,
    json: bool,
) -> int:  # fmt: skip
    """Start a run and follow it to its end. TASK is text or @FILE, or is read from standard input."""
    from interlock.cli.drive import drive, drive_detached
    from interlock.cli.screens import DisplayOptions
    from interlock.machines import check_server

    given, display = _inputs(inputs), DisplayOptions(plain, json)
    if dry_run:
        return _dry(name, until)
    text = _task(_positional(words, task, name), task_file)
    with application(sandbox=sandbox) as app:
        request = _request(app, (text, given), name, until, base)
        if (engine or app.settings.engine) == "temporal":
            _check_daily_cap(app.settings)
            note(f"warning: {warning}" for warning in check_server(app.settings, app.environ, begins=request.pipeline))
            from interlock.service.contents import with_scripts

            request = replace(request, engine="temporal", pipeline=with_scripts(request.pipeline, app.repository))
            request = replace(request, contents=_collected(app, request))
        started = app.service.start_run(request)
        note(f"run {started}")
        return drive_detached(app, started, display) if detach else drive(app, started, display)


def _check_daily_cap(settings: Settings) -> None:
    """Raises UsageError if a cap would hold nothing, as agents work on other machines."""
    caps = {"daily_tokens": settings.daily_tokens, "daily_cost_usd": settings.daily_cost_usd}
    name = next((name for name, cap in caps.items() if cap), "")
    if name and not settings.temporal.is_here:
        raise UsageError(
            f"{name} in your settings counts what agents use on this machine, and those of this run work on others:"
            " set it in the settings of the workers, each of which holds its own, or set `limits` in the pipeline;"
            " then remove it here"
        )


@click.command()
@click.argument("run", required=False, default="", shell_complete=runs)
@click.option("--take-over", is_flag=True, help="Take the run from a process that hangs but has not exited.")
@click.option("--raise", "raised", metavar="LIMIT=N", multiple=True, help="Raise a limit by N, such as cost_usd=10.")
@click.option("--branch", metavar="NAME", default=None, help="Deliver to a branch of this name.")
@click.option("-d", "--detach", "detach", is_flag=True, help="Run in the background.")
@_sandbox
@click.option("--plain", is_flag=True, help="Print one line for each event, without a live view.")
@click.option("--json", "json", is_flag=True, help="Print events as NDJSON on stdout.")
def resume(
    run: str, take_over: bool, raised: tuple[str, ...], branch: str | None, detach: bool, sandbox: str | None,
    plain: bool, json: bool,
) -> int:  # fmt: skip
    """Continue RUN after a crash, an interrupt or a pause."""
    from interlock.cli.answers import unfinished
    from interlock.cli.drive import drive, drive_detached, finish
    from interlock.cli.screens import DisplayOptions
    from interlock.readmodel.run import OVER
    from interlock.service.answers import check_branch, resume_answers, too_late

    limits = tuple(_limit(text) for text in raised)
    display = DisplayOptions(plain, json)
    if branch is not None:
        check_branch(branch)
    with application(sandbox=sandbox) as app:
        found = app.service.choose_run(run, unfinished)
        if found.phase in OVER:
            if branch or limits:
                raise UsageError(too_late(found, branch or "", limits))
            app.owner.attend(found.id)
            note(f"run {found.id} has ended")
            return finish(app, found.id, display)
        wanted = tuple(resume_answers(found, limits, "", branch or ""))
        by = app.person() if wanted else ""  # git is asked who it is only for an answer
        answers = tuple(replace(answer, by=by) for answer in wanted)
        if app.service.follower_of(found.id) and not take_over:
            return _answer_owner(app, found, answers, display)
        if not found.engine:
            _warn_of(app.require_sandbox(found.sandbox), app.service.pipeline_of(found.id))
        for request in answers:
            app.service.answer(app.service.describe_run(found.id), request)
        if detach:
            return drive_detached(app, found.id, display, take_over=take_over)
        return drive(app, found.id, display, take_over=take_over, after=found.seq)


def _warn_of(level: str, pipeline: Pipeline) -> None:
    from interlock.cli.words import NO_SANDBOX

    if level == "none":
        bound = ", ".join(_bound(pipeline))
        reach = f", and all of them reach the whole network, whatever `network` says of {bound}" if bound else ""
        note(f"warning: {NO_SANDBOX}{reach}")


def _bound(pipeline: Pipeline) -> Iterator[str]:
    """Who has less than the whole network because the pipeline says so."""
    yield from (f"agent {agent.name}" for agent in pipeline.agents if agent.hosts is not None)
    if any(each.hosts is not None for each in pipeline.setup):
        yield "setup"
    for stage in pipeline.ordered():
        if stage.hosts is not None:
            yield f"stage {stage.id}"
        yield from (f"gate {stage.id}/{gate.id}" for gate in stage.gates if gate.hosts)


def _inputs(pairs: tuple[str, ...]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    for name, equals, _ in split:
        if not name or not equals:
            raise UsageError(f"-i {name}: expected KEY=VALUE")
    return {name: value for name, _, value in split}


def _positional(words: tuple[str, ...], text: str | None, name: str) -> str | None:
    """The task by position or by `-t`. Raises UsageError if there are both, or several words, or a pipeline's name."""
    if not words:
        return text
    if text is not None:
        raise UsageError("two tasks are given: give one, with -t or as an argument")
    if not name and _is_pipeline(words[0]):
        task = _quoted(" ".join(words[1:]))
        raise UsageError(f"{words[0]} is a pipeline, not a task: `interlock run -p {words[0]} {task}`")
    if len(words) > 1:
        chosen = f"-p {shlex.quote(name)} " if name else ""
        command = f"interlock run {chosen}{_quoted(' '.join(words))}"
        raise UsageError(f"{len(words)} words: quote the task, as in `{command}`")
    return words[0]


def _quoted(task: str) -> str:
    """The task as it can be typed again; `TASK` if it is too long or has a special meaning."""
    fits = 0 < len(task) <= _SHOWN_MAX and task.isprintable() and not task.startswith(("@", "-"))
    return shlex.quote(task) if fits else "TASK"


def _is_pipeline(word: str) -> bool:
    from interlock.cli.pipelines import repository_here
    from interlock.pipelinefile import find_pipelines

    return " " not in word and word in find_pipelines(repository_here())


def _task(text: str | None, file: str | None) -> str:
    if text is not None and file is not None:
        raise UsageError("-t and --task-file exclude each other: give one of them")
    if text is not None and text.startswith("@"):
        return _read(text, Path(text[1:]), ": pass a task that begins with @ on standard input")
    if text is not None and text != "-":
        return text
    if text is None and file is not None and file != "-":
        return _read(f"--task-file {file}", Path(file))
    if text is None and file is None and sys.stdin.isatty():
        raise UsageError('no task given: use `interlock run "TASK"`, with @FILE or on standard input')
    return sys.stdin.buffer.read(_TASK_BYTES_READ_MAX).decode("utf-8", "replace")


def _read(named: str, path: Path, mend: str = "") -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_TASK_BYTES_READ_MAX)
        # A longer one is refused for its length; here it may be cut within a character.
        return content.decode("utf-8", "strict" if len(content) < _TASK_BYTES_READ_MAX else "replace")
    except FileNotFoundError as error:
        raise UsageError(f"{named}: there is no file {path}{mend}") from error
    except (OSError, ValueError) as error:
        raise machine_trouble(error) or UsageError(f"{named}: cannot be read as UTF-8 text: {error}{mend}") from error


def _request(
    app: Application, given: tuple[str, dict[str, str]], name: str, until: str, base: str | None
) -> RunRequest:
    """Everything is checked before anything is written."""
    from interlock.cli.pipelines import load
    from interlock.cli.words import NO_IDENTITY
    from interlock.pipelinefile import require_confined, require_runnable
    from interlock.service import RunRequest

    task, inputs = given
    level = app.require_sandbox()
    loaded = load(app.repository, name, _quoted(task))
    require_runnable(loaded)
    require_confined(loaded, level)
    app.require_reads(loaded.pipeline, level)
    _warn_of(level, loaded.pipeline)
    note(f"warning: {finding}" for finding in loaded.findings if finding.level == "warning")
    worktree = base == "worktree"
    found = app.workspaces.import_base(None if worktree else base, worktree=worktree)
    note(f"note: {line}" for line in found.notes)
    app.workspaces.check_contents(found, loaded.pipeline.carry)
    if not loaded.pipeline.deliver.author and not app.workspaces.identity():
        note(f"warning: {NO_IDENTITY}")
    return RunRequest(
        pipeline=loaded.pipeline,
        task=task,
        base_commit=found.commit,
        base_tree=found.tree,
        inputs=inputs,
        until=until,
        sandbox=level,
        by=app.person(),
    )


def _collected(app: Application, request: RunRequest) -> str:
    """What the run needs besides commits, put among the blobs that all machines share. Returns its digest."""
    from interlock.gates.held_out import HeldOut
    from interlock.machines import shared_blobs_of
    from interlock.service.contents import collect
    from interlock.service.formats import size

    blobs = shared_blobs_of(app.settings, app.environ)
    held_out = HeldOut(app.settings.held_out, app.environ, app.repository)

    def tell(amount: int) -> None:
        note(f"collecting {size(amount)} that the run needs on other machines, beside its commits")

    return collect(app.workspaces, held_out, blobs, request, tell)


def _dry(name: str, until: str) -> int:
    """The output of `plan`, for the stages that would take part."""
    from interlock.cli.app import VERBS, app
    from interlock.settings import load_settings, paths_of

    load_settings(paths_of(os.environ).config)  # a run would need them
    command = app.get_command(click.get_current_context(), "plan")
    if command is None:
        raise UsageError(f"--dry-run needs the verb plan, there are {', '.join(VERBS)}")
    arguments = [*(["-p", name] if name else []), *(["--until", until] if until else [])]
    code = command.main(args=arguments, prog_name="interlock plan", standalone_mode=False)
    return code if isinstance(code, int) else 0


# --- resume ---------------------------------------------------------------------------------------


def _answer_owner(
    app: Application, run: RunSummary, answers: tuple[AnswerRequest, ...], display: DisplayOptions
) -> int:
    """Send the answers to the run's owner. Raises InfrastructureError if there are none: the owner drives the run."""
    from interlock.cli.answers import answer
    from interlock.cli.words import moment, safe
    from interlock.readmodel.run import RunPhase

    codes = [answer(app, app.service.describe_run(run.id), request, display) for request in answers]
    if codes:
        return max(codes)
    sleeps = f", and waits until {moment(run.sleeps_until)}: {safe(run.why)}" if run.phase is RunPhase.SLEEPING else ""
    follow = f"`interlock watch {run.id}` follows it; use --take-over if that process hangs"
    raise InfrastructureError(f"run {run.id} is being run by {run.owner}{sleeps}: {follow}")


def _limit(text: str) -> tuple[str, float]:
    name, equals, amount = text.partition("=")
    try:
        if equals:
            return name, float(amount)
    except ValueError:
        pass
    raise UsageError(f"--raise {text}: expected LIMIT=N, such as cost_usd=10")
