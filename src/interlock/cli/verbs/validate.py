"""`interlock validate`: everything that is wrong with a pipeline file, at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from interlock.cli.completing import pipelines
from interlock.cli.exits import Exit
from interlock.cli.terminal import note, say

if TYPE_CHECKING:
    from interlock.pipelinefile import Loaded, Mistake


@dataclass(frozen=True, slots=True)
class _Seen:
    """One file as it was read. `loaded` is None where it is wrong."""

    file: str
    loaded: Loaded | None
    mistakes: tuple[Mistake, ...]

    @property
    def wrong(self) -> int:
        return sum(mistake.level == "error" for mistake in self.mistakes)


@click.command()
@click.argument("pipeline", required=False, default="", shell_complete=pipelines)
@click.option("-p", "--pipeline", "name", metavar="NAME|PATH", default="", help="One of them; without it all.")
@click.option("--resolved", is_flag=True, help="Print the pipeline with all that was filled in, as YAML.")
@click.option("--json", "json", is_flag=True, help="As JSON on stdout.")
def validate(pipeline: str, name: str, resolved: bool, json: bool) -> int:
    """Say everything that is wrong with a pipeline file, each as file:line:column. Exit code 2 where it is."""
    from interlock.cli.pipelines import chosen, locate_all, repository_here

    root, name = repository_here(), chosen(pipeline, name)
    files = [_resolvable(root, name)] if resolved else locate_all(root, name)
    seen = [_read(path, root) for path in files]
    if json:
        _as_json(seen, resolved=resolved)
    else:
        _as_lines(seen, resolved=resolved)
    return Exit.USAGE if any(file.loaded is None for file in seen) else Exit.ACCEPTED


def _resolvable(root: Path, name: str) -> Path:
    """One file is printed, so one is to be chosen."""
    from interlock.cli.pipelines import locate

    return locate(root, name)


def _read(path: Path, root: Path) -> _Seen:
    from interlock.pipelinefile import InvalidPipeline, load_pipeline

    shown = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    try:
        loaded = load_pipeline(path, root)
    except InvalidPipeline as error:
        return _Seen(shown, None, error.mistakes)
    return _Seen(shown, loaded, loaded.findings)


def _as_lines(seen: list[_Seen], *, resolved: bool) -> None:
    from interlock.cli.pipelines import lines
    from interlock.cli.words import count, safe
    from interlock.pipelinefile import resolved_yaml

    for file in seen:
        note(lines(file.mistakes))
        if file.loaded is None:
            note(f"{safe(file.file)}: not valid: {count(file.wrong, 'mistake')}")
        elif resolved:
            say(resolved_yaml(file.loaded).rstrip("\n"))
        else:
            say(f"{safe(file.file)}: valid: {_summary(file.loaded)}")


def _summary(loaded: Loaded) -> str:
    from interlock.cli.words import count

    gates = sum(len(stage.gates) for stage in loaded.pipeline.stages)
    parts = [count(len(loaded.pipeline.stages), "stage"), count(gates, "gate")]
    warnings = sum(finding.level == "warning" for finding in loaded.findings)
    later = sum(finding.level == "later" for finding in loaded.findings)
    if warnings:
        parts.append(count(warnings, "warning"))
    if later:
        parts.append(f"{count(later, 'thing')} that this version cannot run yet")
    return ", ".join(parts)


def _as_json(seen: list[_Seen], *, resolved: bool) -> None:
    from interlock.pipelinefile import resolved_yaml
    from interlock.service.jsons import document

    files = [
        {
            "file": file.file,
            "valid": file.loaded is not None,
            "name": file.loaded.pipeline.name if file.loaded else "",
            "digest": file.loaded.pipeline.digest if file.loaded else "",
            "mistakes": file.mistakes,
            **({"resolved": resolved_yaml(file.loaded)} if resolved and file.loaded else {}),
        }
        for file in seen
    ]
    say(document(valid=all(file.loaded is not None for file in seen), pipelines=files))
