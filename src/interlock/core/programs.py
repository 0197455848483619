"""The agent programs that have an adapter of their own: what each takes, keeps and tells. A new one is a row here and a
module in `interlock.agents.kinds`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """Where a program keeps what it logged in with: the variable that names its folder, its folder below the user's
    home, and the file."""

    variable: str
    folder: str
    file: str


@dataclass(frozen=True, slots=True)
class Program:
    """`name` is what `use:` says, and the program's name on PATH."""

    name: str
    keys: tuple[str, ...]  # variables that may hold its key
    env: tuple[str, ...] = ()  # others that it is shown
    login: Login | None = None
    model: str = ""  # the variable without which it knows no model
    resumes: bool = False  # it keeps a session that another attempt can go on with
    tells_cost: bool = True


_OF_MODELS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")

# In the order in which `init` prefers them.
PROGRAMS = (
    Program(
        "claude", ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"), ("ANTHROPIC_BASE_URL",),
        Login("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"), resumes=True,
    ),
    Program(
        "codex", ("CODEX_API_KEY", "OPENAI_API_KEY"), (), Login("CODEX_HOME", ".codex", "auth.json"),
        resumes=True, tells_cost=False,
    ),
    Program("gemini", ("GEMINI_API_KEY",), ("GOOGLE_GEMINI_BASE_URL",), tells_cost=False),
    Program("opencode", _OF_MODELS, (), Login("", ".local/share/opencode", "auth.json")),
    Program("aider", _OF_MODELS, ("AIDER_MODEL", "OPENAI_API_BASE")),
    Program(
        "goose", _OF_MODELS, ("GOOSE_MODEL", "GOOSE_PROVIDER", "OPENAI_HOST"), model="GOOSE_MODEL", tells_cost=False,
    ),
    Program("mini", _OF_MODELS, ("MSWEA_MODEL_NAME", "OPENAI_API_BASE"), model="MSWEA_MODEL_NAME", tells_cost=False),
    Program("qwen", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL", "OPENAI_MODEL"), model="OPENAI_MODEL", tells_cost=False),
)  # fmt: skip


def program(name: str) -> Program:
    """Raises KeyError for one without an adapter of its own."""
    for one in PROGRAMS:
        if one.name == name:
            return one
    raise KeyError(name)
