"""What the reference pages say is what the program does: states, verbs, exit codes, keys, words, links."""

from __future__ import annotations

import re
from dataclasses import asdict, is_dataclass
from pathlib import Path

import click
import pytest
from tests.contract.docs.pages import DOCS, PAGES, ROOT, generated

from interlock.cli.app import VERBS, app
from interlock.cli.exits import Exit
from interlock.conventions.programs import PROGRAMS
from interlock.core.state import pictured
from interlock.settings import Settings
from interlock.settings.file import SECTIONS

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"`((?:src|tests|docs|scripts|bench|demo)/[^`*\s{}]+)`")
_MODULE = re.compile(r"`((?:core|execution|engines|journal|workspaces|gates|agents|spec|process)/[\w/.]*)`")


def test_the_states_are_those_of_the_transition_table():
    generated(DOCS / "protocol.md", "states", "\n".join(["```mermaid", *pictured(), "```", ""]))


def test_the_verbs_are_those_of_the_program():
    generated(DOCS / "cli.md", "verbs", "\n".join(_verb(name) for name in VERBS))


def test_the_agent_programs_are_those_of_the_adapters():
    table = ["| `use` | keys | login | tested with | removed files |", "|---|---|---|---|---|"]
    for one in PROGRAMS:
        named = any(one.name == name for name in ("claude", "codex", "gemini", "qwen"))  # they call one provider
        keys = " or ".join(f"`{key}`" for key in one.keys) if named else "of the model's provider"
        files = ", ".join(f"`{glob}`" for glob in one.obeys)
        login = "yes" if one.login else "no"
        table.append(
            f"| [`{one.name}`]({one.name}.md) | {keys} | {login} | {one.tested} | {files} |".replace("|  |", "| |")
        )
    table.append(
        "| [`acp`](acp.md) | its own | no | goose 1.37.0 | all files that any agent program obeys, and `.env` |"
    )
    table.append("| [`model`](model.md) | of the model's provider | no | pydantic-ai 2.68 | |")
    generated(DOCS / "agents/README.md", "programs", "\n".join([*table, ""]))


def test_every_exit_code_is_told():
    told = re.findall(r"^\| (\d+) \|", (DOCS / "cli.md").read_text(), re.MULTILINE)
    assert [int(code) for code in told] == sorted(code.value for code in Exit)


def test_every_setting_is_told_with_its_default():
    page = (DOCS / "cli.md").read_text()
    told = {name: getattr(Settings(), name) for name in Settings.__dataclass_fields__ if name not in SECTIONS}
    for section in SECTIONS:
        default = getattr(Settings(), section)
        inside = asdict(default) if is_dataclass(default) else {}  # the keys of others are the user's
        told |= {f"{section}.{name}": value for name, value in inside.items()} or {section: ""}
    for name, value in told.items():
        text = ", ".join(value) if isinstance(value, tuple) else value
        default = rf" `?{re.escape(str(text))}`? " if text not in ("", None) else " "
        assert re.search(rf"^\| `{re.escape(name)}` \|{default}\|", page, re.MULTILINE), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_whatever_a_page_names_is_there(path: Path):
    page = path.read_text()
    links = [link for link in _LINK.findall(page) if "://" not in link]
    missing = [link for link in links if not (path.parent / link).exists()]
    missing += [name for name in _PATH.findall(page) if not (ROOT / name).exists()]
    if path.name == "ARCHITECTURE.md":
        missing += [name for name in _MODULE.findall(page) if not (ROOT / "src/interlock" / name).exists()]
    assert missing == []


def test_every_decision_is_in_the_index():
    index = (DOCS / "decisions/README.md").read_text()
    pages = sorted(path for path in (DOCS / "decisions").glob("[0-9]*.md"))
    assert pages
    for page in pages:
        title = page.read_text().splitlines()[0].lstrip("# ")
        assert page.name in index, f"docs/decisions/README.md does not name {page.name}: {title}"


def test_the_glossary_is_sorted_and_says_each_word_once():
    words = re.findall(r"^\| (\w+) \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)[1:]
    assert words == sorted(set(words))


def _verb(name: str) -> str:
    """A verb as its own help says it: usage, what it does, options."""
    context = click.Context(app, info_name="interlock")
    command = app.get_command(context, name)
    assert command is not None
    below = click.Context(command, info_name=name, parent=context)
    usage = command.get_usage(below).removeprefix("Usage: ")
    said = [f"### {name}", "", "```text", " ".join(usage.split()), "```", "", _text(command.help), ""]
    options = [_option(each, below) for each in command.params if isinstance(each, click.Option) and not each.hidden]
    return "\n".join([*said, *(["| option | |", "|---|---|", *options, ""] if options else [])])


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None, option.name
    name, text = record
    cell = name.replace("|", "\\|")
    return f"| `{cell}` | {_text(text)} |"


def _text(text: str | None) -> str:
    """As Markdown: what looks like a tag or a new column is not one."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")
