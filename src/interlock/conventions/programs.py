"""The agent programs that have an adapter of their own: what each takes, keeps and tells. A new one is a row here and a
module in `interlock.agents.kinds`. Beside them stand the adapters that start no program of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from interlock.conventions.judge_files import AGENT_FOLDERS, AGENT_IGNORES, AGENT_SETTINGS, INSTRUCTIONS
from interlock.text.globs import matches_any


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
    tested: str  # the version that the contract suite drives
    keys: tuple[str, ...]  # variables that may hold its key
    env: tuple[str, ...] = ()  # others that it is shown
    login: Login | None = None
    model: str = ""  # the variable without which it knows no model
    provider: str = ""  # the variable that names whose model it calls, by itself or in the model's name
    usual: str = ""  # whose model it calls where that variable is not set; empty for whoever has given a key
    resumes: bool = False  # it keeps a session that another attempt can resume
    tells_cost: bool = True
    version_env: tuple[tuple[str, str], ...] = ()  # with which `--version` asks and prints nothing else
    renders: tuple[str, ...] = ()  # types of events that `render` of its kind shows to people
    # What it would read of the checkout and cannot be told to leave alone, and so does not get to see: names in the
    # folder of the work and those above it, and those that begin with `**/` in all other folders.
    obeys: tuple[str, ...] = ()
    proxies: tuple[str, ...] | None = None  # of `keys`, those that can stay outside of its sandbox; None: all


_OF_MODELS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
_OF_GOOGLE = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
# Where a key is used, and the variables that may name another address.
_ADDRESSES = {
    **dict.fromkeys(
        ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"), ("https://api.anthropic.com", ("ANTHROPIC_BASE_URL",))
    ),
    **dict.fromkeys(
        ("OPENAI_API_KEY", "CODEX_API_KEY"),
        ("https://api.openai.com", ("OPENAI_API_BASE", "OPENAI_BASE_URL", "OPENAI_HOST")),
    ),
    **dict.fromkeys(_OF_GOOGLE, ("https://generativelanguage.googleapis.com", ("GOOGLE_GEMINI_BASE_URL",))),
}
# Whose model a name means, and the key for it.
_PROVIDERS = (
    (re.compile(r"anthropic(/.*)?|(claude|sonnet|opus|haiku)[^/]*"), "ANTHROPIC_API_KEY"),
    (re.compile(r"openai(/.*)?|(gpt-|chatgpt-|o\d|4o)[^/]*"), "OPENAI_API_KEY"),
)

# In the order in which `init` prefers them.
PROGRAMS = (
    Program(
        "claude", "2.1.330", ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"), ("ANTHROPIC_BASE_URL",),
        Login("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"), resumes=True,
        renders=("system", "assistant", "user", "result", "rate_limit_event"),
    ),
    Program(
        "codex", "0.169.0", ("CODEX_API_KEY", "OPENAI_API_KEY"), (), Login("CODEX_HOME", ".codex", "auth.json"),
        resumes=True, tells_cost=False, obeys=(".codex", ".agents"),
        renders=(
            "thread.started", "turn.started", "turn.completed", "turn.failed", "error",
            "item.started", "item.updated", "item.completed",
        ),
    ),
    Program(
        "gemini", "0.61.0", ("GEMINI_API_KEY",), ("GOOGLE_GEMINI_BASE_URL",), tells_cost=False,
        obeys=(".gemini", ".agents", "GEMINI.md", "**/GEMINI.md"),
    ),
    Program(
        "opencode", "1.18.33", _OF_MODELS, (), Login("", ".local/share/opencode", "auth.json"),
        obeys=(".opencode", "opencode.json*", ".agents", "**/AGENTS.md", "**/CLAUDE.md", "**/CONTEXT.md"),
        proxies=("OPENAI_API_KEY",),
    ),
    Program(
        "aider", "0.86.2", _OF_MODELS, ("AIDER_MODEL", "OPENAI_API_BASE"), provider="AIDER_MODEL",
        obeys=(".aider*", ".env"),
    ),
    Program(
        "goose", "1.37.0", _OF_MODELS, ("GOOSE_MODEL", "GOOSE_PROVIDER", "OPENAI_HOST"),
        model="GOOSE_MODEL", provider="GOOSE_PROVIDER", usual="openai", tells_cost=False,
        obeys=(".goose", ".agents"),
    ),
    Program(
        "mini", "2.4.6", _OF_MODELS, ("MSWEA_MODEL_NAME", "OPENAI_API_BASE"),
        model="MSWEA_MODEL_NAME", provider="MSWEA_MODEL_NAME", tells_cost=False,
        version_env=(("MSWEA_SILENT_STARTUP", "1"), ("MSWEA_CONFIGURED", "true")),
    ),
    Program(
        "qwen", "0.15.10", ("OPENAI_API_KEY",), ("OPENAI_BASE_URL", "OPENAI_MODEL"),
        model="OPENAI_MODEL", tells_cost=False, obeys=(".qwen", ".agents", "QWEN.md"),
    ),
)  # fmt: skip

# All variables that may hold the key of some program or other.
KEYS = tuple(dict.fromkeys((*(key for one in PROGRAMS for key in one.keys), "GOOGLE_API_KEY")))


# What some program or other obeys: which one an agent behind `acp` is nobody knows. Some look for texts, and for
# folders that may hold some, beside each file that they read.
_TEXTS = tuple(glob.removeprefix("**/") for glob in (*INSTRUCTIONS, *AGENT_FOLDERS))
_OF_ANY = (*_TEXTS, *AGENT_SETTINGS, *AGENT_IGNORES, ".env", *(f"**/{name}" for name in _TEXTS))


@dataclass(frozen=True, slots=True)
class Adapter:
    """What `use:` names, and what a pipeline file may ask of it.

    `driven`: Interlock drives the program or the model, and checks before each start that it is installed and that its
    keys are set. `program` is its name on PATH, empty if `run:` or nothing is started; `package` is the Python package
    that it needs, and `extra` the extra of Interlock that installs it.
    """

    name: str
    options: frozenset[str] = frozenset()
    runs: bool = False  # the user's `run:` starts it
    tells_cost: bool = True
    driven: bool = True
    program: str = ""
    package: str = ""
    extra: str = ""
    resumes: bool = False  # it keeps a session that another attempt can resume
    obeys: tuple[str, ...] = ()  # as of a program
    providers: tuple[str, ...] = ()  # `model:` is PROVIDER:NAME with one of these; empty: any text, or none
    writes_files: bool = True  # False: it writes only the artifacts that its stage produces
    proxies: tuple[str, ...] = ()  # keys that can stay outside of its sandbox: it can be told another address for them


_DRIVEN = frozenset({"endpoint", "key", "login", "price"})
_NO_PROGRAMS = (
    Adapter("acp", frozenset({"price"}), runs=True, tells_cost=False, obeys=_OF_ANY),
    Adapter("command", runs=True, driven=False),
    Adapter(
        "model", _DRIVEN - {"login"}, tells_cost=False, package="pydantic_ai", extra="models", writes_files=False,
        providers=("anthropic", "google", "openai", "openai-responses"), proxies=(*_OF_MODELS, *_OF_GOOGLE),
    ),
    Adapter("scripted", frozenset({"script", "seed", "rate", "kinds", "hang_s", "pace_s"}), driven=False),
)  # fmt: skip
_OF_PROGRAMS = (
    Adapter(
        one.name, _DRIVEN if one.login is not None else _DRIVEN - {"login"},
        tells_cost=one.tells_cost, program=one.name, resumes=one.resumes, obeys=one.obeys,
        proxies=one.keys if one.proxies is None else one.proxies,
    )
    for one in PROGRAMS
)  # fmt: skip
ADAPTERS = {one.name: one for one in (*_NO_PROGRAMS, *_OF_PROGRAMS)}


def program(name: str) -> Program:
    """Raises KeyError for one without an adapter of its own."""
    for one in PROGRAMS:
        if one.name == name:
            return one
    raise KeyError(name)


def key_names(use: str) -> tuple[str, ...]:
    """The variables that may hold a key of what `use:` names: of a program that nobody knows, those of all."""
    return next((one.keys for one in PROGRAMS if one.name == use), KEYS)


def endpoint_of(key: str, environ: Mapping[str, str]) -> str:
    """Where a key is used, unless an agent's `endpoint` says so: the address of the API without /v1."""
    usual, variables = _ADDRESSES[key]
    named = next((environ[name] for name in variables if environ.get(name)), usual)
    return named.rstrip("/").removesuffix("/v1")


def is_older(version: str, than: str) -> bool:
    """Whether `version` is known, and before the other: by its numbers, not by what is beside them."""
    return bool(version) and _numbers(version) < _numbers(than)


def obeyed(use: str) -> tuple[str, ...]:
    """`obeys` of what `use:` names: nothing of a program that is the user's own."""
    return ADAPTERS[use].obeys if use in ADAPTERS else ()


def is_hidden(use: str, folder: str, path: str) -> bool:
    """Whether the file at `path` is kept from the agent that works in `folder`."""
    parts, own = path.split("/"), folder.split("/") if folder else []
    above = ["/".join(own[:number]) for number in range(len(own) + 1)]
    prefixes = [("/".join(parts[:number]), "/".join(parts[: number + 1])) for number in range(len(parts))]
    globs = obeyed(use)
    here = {f"/{at}/{glob}" if at else f"/{glob}" for glob in globs if not glob.startswith("**/") for at in above}
    return any(
        matches_any(here, each) or (at not in above and matches_any([glob for glob in globs if "**/" in glob], each))
        for at, each in prefixes
    )


def lacks(one: Program, environ: Mapping[str, str], *, login: bool) -> tuple[str, ...]:
    """What is not set and must be, for it to call a model with no more than its row says. `login`: it is lent one."""
    named = environ.get(one.provider, "") or one.usual
    keys = tuple(key for key in one.keys if not named or key in _keys_for(named)) or (f"what {named} asks for",)
    has_key = login or any(environ.get(key) for key in keys)
    missing = () if has_key else (" or ".join(keys),)
    return (*missing, *((one.model,) if one.model and not environ.get(one.model) else ()))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[-+]", version)[0]))


def _keys_for(model: str) -> list[str]:
    return [key for names, key in _PROVIDERS if names.fullmatch(model)]
