"""Every name that leaves us, in one place: OpenTelemetry's own where there is one, else below `interlock.`.

Rule: what names a single run or attempt stands on spans alone, never on metrics.
"""

from __future__ import annotations

SERVICE = "service.name"
SCOPE = "interlock"

# On spans.
RUN = "cicd.pipeline.run.id"
ATTEMPT = "cicd.pipeline.task.run.id"
COMMIT = "interlock.commit"
TREE = "interlock.tree"
OPEN = "interlock.open"  # it goes on still: its end is the newest event
OVERRIDDEN = "interlock.overridden"
FINDINGS = "interlock.findings"
CACHED = "interlock.cached"

# On spans and metrics.
PIPELINE = "cicd.pipeline.name"
RUN_RESULT = "cicd.pipeline.result"
STAGE = "cicd.pipeline.task.name"
ATTEMPT_RESULT = "cicd.pipeline.task.run.result"
GATE = "interlock.gate"
VERDICT = "interlock.verdict"
AGENT = "gen_ai.agent.name"
MODEL = "gen_ai.request.model"
TOKENS_IN = "gen_ai.usage.input_tokens"
TOKENS_OUT = "gen_ai.usage.output_tokens"
COST = "interlock.cost_usd"
TOKEN_TYPE = "gen_ai.token.type"

# Metrics.
ATTEMPTS = "interlock.attempts"
ATTEMPT_DURATION = "interlock.attempt.duration"  # seconds
VERDICTS = "interlock.verdicts"
TOKENS = "interlock.tokens"
COSTS = "interlock.cost"  # dollars

ON_SPANS_ALONE = frozenset({RUN, ATTEMPT, COMMIT, TREE})
