"""The known coding agents, as `init` writes them: the adapter, and what it may see of the environment by name."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.spec.unfilled import LINE


@dataclass(frozen=True, slots=True)
class Program:
    """A coding agent: its name on PATH, which is that of its adapter; `run` is a line of shell for `use: command`."""

    name: str
    secrets: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    run: str = ""


_OF_MODELS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
PROGRAMS = (
    Program("claude", ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"), ("ANTHROPIC_BASE_URL",)),
    Program("codex", ("CODEX_API_KEY", "OPENAI_API_KEY")),
    Program("gemini", ("GEMINI_API_KEY",), ("GOOGLE_GEMINI_BASE_URL",)),
    Program("opencode", _OF_MODELS),
    Program("aider", _OF_MODELS, ("AIDER_MODEL", "OPENAI_API_BASE")),
    Program("goose", _OF_MODELS, ("GOOSE_MODEL", "GOOSE_PROVIDER", "OPENAI_HOST")),
    Program("mini", _OF_MODELS, ("MSWEA_MODEL_NAME", "OPENAI_API_BASE")),
)

# What stands for an agent until the user has named one. Its line fails and says so; `validate` and `doctor` warn of it.
UNKNOWN = Program("coder", run=LINE)
