"""Pipelines, and what a person says to their runs: each is played on both engines.

Rule: what an agent or a gate remembers lies in `$HERE`, in a file named by the task, which is the scenario's name.
"""

from __future__ import annotations

from dataclasses import dataclass

_HEAD = """\
version: 1
agents:
  writer: {use: command, run: [bash, -c, 'echo "$INTERLOCK_ATTEMPT" >> a.txt']}
  idle: {use: command, run: "true"}
  same: {use: command, run: [bash, -c, 'echo same > a.txt']}
  spender: {use: command, run: [bash, -c, 'echo "$INTERLOCK_ATTEMPT" >> a.txt; echo "{\\"tokens_out\\": 70}" > "$INTERLOCK_USAGE"']}
  away: {use: command, run: [no-such-agent], fallback: [writer]}
  limited:
    use: command
    env: [HERE]
    run: |
      if test -e "$HERE/$TASK"; then echo x > a.txt; exit; fi
      touch "$HERE/$TASK"
      echo "{\\"ended\\": \\"rate_limited\\", \\"message\\": \\"no more\\", \\"retry_at\\": $(($(date +%s) + 2))}" > "$INTERLOCK_USAGE"
  hangs:
    use: command
    env: [HERE]
    run: |
      if test -e "$HERE/$TASK"; then echo x > a.txt; exit; fi
      touch "$HERE/$TASK"
      sleep 300
"""  # noqa: E501


@dataclass(frozen=True)
class Scenario:
    """`says`: what is typed after the run has come to its rest, where {run} is its id. `busy`: what is typed as soon
    as the agent `hangs` is at work. `inbox`: pairs of an action and an attempt that lie there when it is resumed."""

    stages: str
    says: tuple[str, ...] = ()
    busy: str = ""
    inbox: tuple[tuple[str, str], ...] = ()
    branches: tuple[str, ...] = ()  # that are there before

    @property
    def pipeline(self) -> str:
        return _HEAD + self.stages


SCENARIOS = {
    "accepted": Scenario("""\
stages:
  code: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
"""),
    "rejected with feedback": Scenario("""\
stages:
  code: {agent: writer, attempts: 3, gates: [{id: second, run: "grep -q 1.2 a.txt"}]}
"""),
    "sent back": Scenario("""\
stages:
  plan: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
  code:
    needs: [plan]
    agent: writer
    attempts: 1
    gates: [{id: twice, run: "test $(grep -c 2.1 a.txt) -ge 1"}]
    on_reject: [{goto: plan, max: 1}]
"""),
    "sent back too often": Scenario("""\
stages:
  plan: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
  code:
    needs: [plan]
    agent: writer
    gates: [{id: never, run: "! cat a.txt"}]
    on_reject: [{goto: plan, max: 1}]
"""),
    "joined": Scenario("""\
stages:
  one: {agent: writer, writes: [a.txt], gates: [{id: g, run: "test -s a.txt"}]}
  two: {run: "echo two > b.txt", writes: [b.txt]}
  both: {needs: [one, two], agent: writer, gates: [{id: g, run: "test -s a.txt && test -s b.txt"}]}
"""),
    "joined in conflict": Scenario("""\
stages:
  one: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
  two: {run: "echo two > a.txt"}
  both: {needs: [one, two], agent: same, gates: [{id: whole, run: "grep -qx same a.txt"}]}
"""),
    "joined by nobody": Scenario("""\
stages:
  one: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
  two: {run: "echo two > a.txt"}
  both: {needs: [one, two]}
"""),
    "in parallel": Scenario("""\
stages:
  one: {run: "sleep 0.2; echo 1 > 1.txt"}
  two: {run: "sleep 0.1; echo 2 > 2.txt"}
  three: {run: "echo 3 > 3.txt", gates: [{id: g, run: "test -s 3.txt"}, {id: h, run: "test -f 3.txt"}]}
  four: {run: "echo 4 > 4.txt"}
  all: {needs: [one, two, three, four], agent: writer, gates: [{id: g, run: "test $(cat [1-4].txt | wc -l) = 4"}]}
"""),
    "not found": Scenario(
        """\
stages:
  code: {agent: writer, gates: [{id: g, run: [no-such-program]}]}
""",
        says=("resume {run}",),
    ),
    "a gate that errs once": Scenario("""\
stages:
  code:
    agent: writer
    gates: [{id: g, env: [HERE], timeout: 1s, run: 'test -e "$HERE/$TASK" || { touch "$HERE/$TASK"; sleep 60; }'}]
"""),
    "an agent that is away": Scenario("""\
stages:
  code: {agent: away, gates: [{id: g, run: "test -s a.txt"}]}
"""),
    "a quota is waited for": Scenario("""\
stages:
  code: {agent: limited, gates: [{id: g, run: "test -s a.txt"}]}
"""),
    "exhausted": Scenario("""\
stages:
  code: {agent: idle, attempts: 2, gates: [{id: g, run: "false"}]}
"""),
    "no progress": Scenario("""\
stages:
  code: {agent: same, attempts: 5, gates: [{id: g, run: "! cat a.txt"}]}
"""),
    "a limit of attempts": Scenario(
        """\
limits: {attempts: 2}
stages:
  code: {agent: writer, attempts: 9, gates: [{id: g, run: "grep -q 1.3 a.txt"}]}
""",
        says=("resume {run} --raise attempts=1",),
    ),
    "a limit of tokens": Scenario(
        """\
limits: {tokens: 100}
stages:
  code: {agent: spender, attempts: 9, gates: [{id: g, run: "grep -q 1.3 a.txt"}]}
""",
        says=("resume {run} --raise code.tokens=1", "resume {run} --raise tokens=100"),
    ),
    "left out": Scenario("""\
stages:
  size:
    run: 'echo "{\\"size\\": \\"small\\"}" > "$ARTIFACTS/size.json"'
    writes: []
    produces: {size: {file: size.json, schema: {text: '{"type": "object"}'}}}
  design: {needs: [size], agent: idle, when: {artifact: size/size, at: /size, equals: large}, gates: [{id: g, run: "false"}]}
  code: {needs: [design], agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
"""),  # noqa: E501
    "a series": Scenario("""\
deliver: {series: true, branch: "series/{{ run.id }}"}
stages:
  one: {run: "echo 1 > 1.txt"}
  two: {needs: [one], run: "echo 2 > 2.txt"}
"""),
    "a branch that is taken": Scenario(
        """\
deliver: {branch: mine}
stages:
  code: {agent: writer, gates: [{id: g, run: "test -s a.txt"}]}
""",
        says=("resume {run} --branch 'no branch'", "resume {run} --branch other"),
        branches=("mine",),
    ),
    "approved": Scenario(
        """\
stages:
  code: {agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
""",
        says=(
            "reject {run} code/1.1 -m 'once more'",
            "approve {run} code/1.1",  # too late
            "reject {run} code/1.9 -m no",
            "accept {run} nothing",
            "approve {run} code/1.2",
            "approve {run}",
            "cancel {run}",
        ),
    ),
    "accepted over a gate": Scenario(
        """\
stages:
  code: {agent: writer, attempts: 1, gates: [{id: g, run: "false"}]}
""",
        says=("approve {run}", "accept {run} code", "accept {run} code --override -m 'I know better'"),
    ),
    "retried by a person": Scenario(
        """\
stages:
  code: {agent: writer, attempts: 1, gates: [{id: g, run: "grep -q 1.2 a.txt"}]}
""",
        says=("retry {run} code -m 'try again'",),
    ),
    "cancelled": Scenario(
        """\
stages:
  code: {agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
""",
        says=("cancel {run} -m enough", "approve {run}", "cancel {run}"),
    ),
    "retried at once": Scenario(
        """\
stages:
  code: {agent: hangs, gates: [{id: g, run: "test -s a.txt"}]}
""",
        busy="retry {run} code --now",
    ),
    "cancelled at work": Scenario(
        """\
stages:
  code: {agent: hangs, gates: [{id: g, run: "test -s a.txt"}]}
""",
        busy="cancel {run}",
    ),
    "answers that come late": Scenario(
        """\
stages:
  code: {agent: writer, gates: [{id: ok, approve: "Is it good?"}]}
""",
        inbox=(("retry", "code/7.1"), ("approve", "code/1.2"), ("reject", "code/1.1")),
        says=("resume {run}",),
    ),
}
