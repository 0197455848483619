"""What `doctor` says of the programs that are there, and of those that pipelines name."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.cli.diagnosis import check_programs
from interlock.conventions.programs import ADAPTERS, PROGRAMS
from interlock.core.pipeline import AgentSpec, CommandLine


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """With codex as it is tested, a claude that is too old, and a mini that knows no `--version`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, says in (("codex", "echo codex-cli 0.169.0"), ("claude", "echo 1.0.3"), ("mini", "exit 2")):
        (folder / name).write_text(f"#!/bin/sh\n{says}\n")
        (folder / name).chmod(0o755)
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "mini_swe_agent-2.4.6.dist-info"
    package.mkdir(parents=True)
    (package / "entry_points.txt").write_text("[console_scripts]\nmini = minisweagent.run:app\n")
    return {"PATH": str(folder), "HOME": str(tmp_path)}


def told(environ: dict[str, str], *agents: AgentSpec) -> list[str]:
    return [f"{one.level} {one.topic}: {one.text}" for one in check_programs(environ, agents)]


def test_one_that_is_too_old_is_no_good(environ: dict[str, str]) -> None:
    (claude,) = [line for line in told({**environ, "ANTHROPIC_API_KEY": "x"}) if "claude" in line]
    assert claude.startswith("warn agent claude: 1.0.3 (")
    assert claude.endswith("is too old: install 2.1.330 or newer")


def test_the_version_of_one_that_does_not_tell_is_that_of_its_package(environ: dict[str, str]) -> None:
    assert any("agent mini: 2.4.6 (" in line for line in told(environ))


def test_what_pipelines_use_is_not_proposed_again(environ: dict[str, str]) -> None:
    coder = AgentSpec("coder", "codex", secrets=("OPENAI_API_KEY",))
    (codex,) = [line for line in told({**environ, "OPENAI_API_KEY": "x"}, coder) if "codex" in line]
    assert codex.startswith("ok ")
    assert codex.endswith("), coder is given OPENAI_API_KEY")
    (codex,) = [line for line in told(environ, AgentSpec("coder", "codex")) if "codex" in line]
    assert codex.startswith("note ")
    assert codex.endswith("), coder is given no key and no login")


def test_of_several_keys_that_are_set_the_model_decides(environ: dict[str, str]) -> None:
    (mini,) = [line for line in told({**environ, "ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "y"}) if "mini" in line]
    assert "ANTHROPIC_API_KEY and OPENAI_API_KEY are set: name the one that its model asks for" in mini


def test_what_pipelines_name_and_is_not_there_is_told_of_each(environ: dict[str, str]) -> None:
    said = told(
        environ,
        AgentSpec("coder", "codex", secrets=("OPENAI_API_KEY",)),
        AgentSpec("lent", "codex", secrets=("OPENAI_API_KEY",), options=(("login", "true"),)),
        AgentSpec("other", "gemini"),
        AgentSpec("far", "acp", CommandLine(("codex-acp", "--x"))),
        AgentSpec("here", "acp", CommandLine(("./agent",))),
        AgentSpec("own", "command", CommandLine(("no-such-line",)), secrets=("MINE",)),
    )
    absent = "is not on the PATH, and the pipelines name it: install it, or name another program"
    assert [line for line in said if not line.partition(": ")[0].endswith(("codex", "claude", "mini"))] == [
        "warn agent coder: none of the agent's `secrets` is set: set OPENAI_API_KEY",
        f"warn agent other: gemini {absent}",
        f"warn agent far: codex-acp {absent}",
    ]


def test_a_package_that_an_adapter_needs_is_named(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.cli.diagnosis.find_spec", lambda name: None)
    lines = told(environ, AgentSpec("thinker", "model"), AgentSpec("own", "scripted"))
    assert [line for line in lines if line.startswith("warn agent thinker") or "own" in line.partition(": ")[0]] == [
        "warn agent thinker: `use: model` needs more: pip install 'interlock[models]'"
    ]


def test_what_doctor_asks_of_an_adapter_is_declared() -> None:
    """Each program is looked for under its own name; what the user starts, and the scripted agent, are not driven."""
    assert all(ADAPTERS[one.name].program == one.name for one in PROGRAMS)
    assert {name for name, one in ADAPTERS.items() if not one.driven} == {"command", "scripted"}
