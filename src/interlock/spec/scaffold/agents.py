"""How the known coding agents are started by `use: command`: the plainest line that works unattended.

Rule: the brief is read from standard input or from the file $BRIEF, nothing asks a person, nothing commits. Their
exit codes are worth little (several are 0 on failure): what counts is what the gates say of the change.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """A coding agent: its name on PATH, its line, and what it may see of the environment by name."""

    name: str
    run: str
    secrets: tuple[str, ...]
    env: tuple[str, ...] = ()


PROGRAMS = (
    Program(
        "claude",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1 \\\n"
        "claude -p --output-format stream-json --verbose --permission-mode acceptEdits \\\n"
        '--allowedTools Bash --strict-mcp-config --setting-sources= < "$BRIEF"',
        ("ANTHROPIC_API_KEY",),
        ("ANTHROPIC_BASE_URL", "CLAUDE_CONFIG_DIR"),
    ),
    Program(
        "codex",
        'codex exec --json -s workspace-write -c check_for_update_on_startup=false - < "$BRIEF"',
        ("CODEX_API_KEY", "OPENAI_API_KEY"),
        ("CODEX_HOME",),
    ),
    Program(
        "gemini",
        'gemini -o stream-json --skip-trust --approval-mode yolo -p "$(cat "$BRIEF")" < /dev/null',
        ("GEMINI_API_KEY",),
        ("GOOGLE_GEMINI_BASE_URL",),
    ),
    Program(
        "opencode",
        "OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_LSP_DOWNLOAD=1 \\\n"
        'opencode run --format json "$(cat "$BRIEF")" < /dev/null',
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
        ("OPENCODE_CONFIG_CONTENT",),
    ),
    Program(
        "aider",
        'aider --message-file "$BRIEF" --yes-always --no-auto-commits --no-dirty-commits --no-gitignore \\\n'
        "--no-check-update --no-show-release-notes --no-show-model-warnings --analytics-disable \\\n"
        "--no-pretty --no-stream --no-fancy-input --no-detect-urls --no-suggest-shell-commands \\\n"
        '--disable-playwright --chat-history-file "$TMPDIR/aider.chat" \\\n'
        '--input-history-file "$TMPDIR/aider.input" < /dev/null',
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
        ("AIDER_MODEL", "OPENAI_API_BASE"),
    ),
    Program(
        "goose",
        "GOOSE_MODE=auto GOOSE_DISABLE_KEYRING=1 \\\n"
        "goose run --output-format stream-json --no-profile --with-builtin developer --no-session --max-turns 50 \\\n"
        '-t "$(cat "$BRIEF")" < /dev/null',
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
        ("GOOSE_MODEL", "GOOSE_PROVIDER", "OPENAI_HOST"),
    ),
    Program(
        "mini",
        "MSWEA_CONFIGURED=true MSWEA_SILENT_STARTUP=1 MSWEA_COST_TRACKING=ignore_errors \\\n"
        'mini -y --exit-immediately -l 0 -o "$TMPDIR/mini.json" -t "$(cat "$BRIEF")" < /dev/null',
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
        ("MSWEA_MODEL_NAME", "OPENAI_API_BASE"),
    ),
)

PLACEHOLDER = Program(
    "placeholder",
    "echo 'no coding agent was found on PATH when this was written: put the line that starts yours"
    " under agents in .interlock/common.yaml (the brief is on standard input, and in the file $BRIEF)' >&2; exit 127",
    (),
)
