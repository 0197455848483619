"""Joins from the outside: an accepted deletion does not come back, whatever the shape of the pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.cli_world import World, new_world, stage_of, verdicts_of
from tests.nightly import rest_at_night

FILES = {"f.txt": "one\ntwo\n", "g.txt": "x\n"}
AGENTS = """\
version: 1
name: joined
agents:
  del: {use: command, run: [bash, -c, "rm -f f.txt; date +%s%N > del.txt"]}
  mod: {use: command, run: [bash, -c, "printf 'one\\\\ntwo\\\\nthree\\\\n' > f.txt"]}
  other: {use: command, run: [bash, -c, "echo y > g.txt"]}
  touch: {use: command, run: [bash, -c, 'echo 1 > "$(dirname "$INTERLOCK_ATTEMPT").txt"']}
  join: {use: command, run: [bash, join.sh]}
stages:
  a: {agent: del, gates: [{id: gone, run: test ! -e f.txt}]}
"""
CONFLICT = f"""\
{AGENTS}
  b: {{agent: mod, gates: [{{id: ok, run: "true"}}]}}
  j: {{needs: [a, b], agent: AGENT, writes: [g.txt], gates: [{{id: own, run: "true"}}]}}
"""
DECIDE = """\
cp "$BRIEF" "$KEEP/brief.txt"
git show from/b:f.txt > "$KEEP/b.txt"
echo y > g.txt
mkdir -p "$ARTIFACTS"
if [ -n "$BY_HAND" ]; then git checkout -q from/b -- f.txt; echo four >> f.txt; else rm f.txt; fi
echo "{\\"f.txt\\": \\"$DECISION\\"}" > "$ARTIFACTS/conflicts.json"
"""


def joined(tmp_path: Path, pipeline: str, **environ: str) -> World:
    (tmp_path / "keep").mkdir()
    pipeline = pipeline.replace("  j: {", "  j: {env: [KEEP, DECISION, BY_HAND], ")
    files = {**FILES, "interlock.yaml": pipeline, "join.sh": DECIDE}
    return new_world(tmp_path, files, KEEP=str(tmp_path / "keep"), **{"DECISION": "a", "BY_HAND": "", **environ})


def delivered(world: World) -> set[str]:
    return set(world.git("ls-tree", "-r", "--name-only", world.show()["branch"]).split())


def test_a_deletion_that_nobody_decided_about_rejects_the_join(tmp_path: Path) -> None:
    world = joined(tmp_path, CONFLICT.replace("AGENT", "other"))
    world.ask("run", "-t", "x").ended(3, "f.txt (modify/delete)", "this conflict has no decision")
    first = stage_of(world.show(), "j")["attempts"][0]
    (finding,) = verdicts_of(first)["j/scope"]["findings"]
    assert (finding["rule"], finding["file"]) == ("undecided", "f.txt")
    assert world.git("branch", "--list", "interlock/*") == ""
    world.ask("show", "j").ended(0, "conflict in f.txt (modify/delete: a deleted it, b changed it)")


@pytest.mark.parametrize("word", ["a", "deleted"])
def test_a_decided_deletion_is_delivered_and_the_decision_is_not(tmp_path: Path, word: str) -> None:
    world = joined(tmp_path, CONFLICT.replace("AGENT", "join"), DECISION=word)
    world.ask("run", "-t", "x").ended(0)
    assert "f.txt" not in delivered(world)
    assert not any(path.startswith(".interlock/") for path in delivered(world))
    assert (tmp_path / "keep/b.txt").read_text() == "one\ntwo\nthree\n", "each side is a branch where the agent works"


def test_a_decision_made_by_hand_is_judged_by_the_gates_of_what_was_merged(tmp_path: Path) -> None:
    world = joined(tmp_path, CONFLICT.replace("AGENT", "join"), DECISION="edited", BY_HAND="1")
    world.ask("run", "-t", "x").ended(3)
    first = stage_of(world.show(), "j")["attempts"][0]
    status = {name: verdict["status"] for name, verdict in verdicts_of(first).items()}
    assert status["j/scope"] == "passed"
    assert status["a/gone"] == "failed"


def test_the_brief_says_what_is_to_be_decided_and_who_judges_it(tmp_path: Path) -> None:
    world = joined(tmp_path, CONFLICT.replace("AGENT", "join"))
    world.ask("run", "-t", "x").ended(0)
    brief = (tmp_path / "keep/brief.txt").read_text()
    assert "markers in these files" not in brief
    assert "- f.txt: modify/delete: a deleted it, b changed it. Now it is as b left it." in brief
    assert '{"f.txt": "a" | "b" | "deleted" | "edited"}' in brief
    assert "`.interlock/artifacts/j/conflicts.json`" in brief
    assert "- a/gone, as the work that was merged was\n- b/ok, as" in brief


def test_without_an_agent_the_pause_names_the_kinds(tmp_path: Path) -> None:
    pipeline = CONFLICT.replace('agent: AGENT, writes: [g.txt], gates: [{id: own, run: "true"}]', "gates: []")
    world = joined(tmp_path, pipeline)
    world.ask("run", "-t", "x").ended(3, "conflict in f.txt (modify/delete: a deleted it, b changed it)")


SHAPES = {
    "diamond": """
  b: {needs: [a], agent: other, gates: []}
  c: {needs: [a], agent: touch, gates: []}
  j: {needs: [c, b], gates: []}
""",
    "nested joins": """
  b: {agent: other, gates: []}
  c: {agent: touch, gates: []}
  ab: {needs: [a, b], gates: []}
  bc: {needs: [b, c], gates: []}
  ba: {needs: [b, a], agent: touch, gates: []}
  j: {needs: [bc, ab, ba], agent: touch, gates: []}
""",
    "skipped stages": """
  plan:
    run: mkdir -p "$ARTIFACTS" && echo '{"big":false}' > "$ARTIFACTS/size.json"
    produces: {size: {file: size.json}}
  skipped: {needs: [plan, a], when: {artifact: plan/size, at: /big, equals: true}, agent: mod, gates: []}
  too: {needs: [plan], when: {artifact: plan/size, at: /big, equals: true}, agent: mod, gates: []}
  j: {needs: [too, skipped], agent: touch, gates: []}
""",
    # At night: a part of the nested joins.
    "fork and join": """
  b: {agent: other, gates: []}
  j: {needs: [b, a], agent: touch, gates: []}
""",
}


@pytest.mark.parametrize("shape", rest_at_night([*SHAPES], 3))
def test_an_accepted_deletion_outlives_every_shape(tmp_path: Path, shape: str) -> None:
    world = joined(tmp_path, AGENTS + SHAPES[shape])
    world.ask("run", "-t", "x").ended(0)
    assert "f.txt" not in delivered(world)
    assert "del.txt" in delivered(world)


GROWN = """\
version: 1
name: grown
agents:
  a: {use: command, run: [bash, -c, "printf 'one\\\\n' >> tests/test_f.sh.test.js"]}
  b: {use: command, run: [bash, -c, "printf 'two\\\\n' >> tests/test_f.sh.test.js"]}
  join: {use: command, run: [bash, join.sh]}
stages:
  a: {agent: a, adds: [tests/**], gates: [{id: old, run: "true", tests: base}]}
  b: {agent: b, adds: [tests/**], gates: [{id: old, run: "true", tests: base}]}
  j: {needs: [a, b], agent: join, writes: [g.txt], attempts: 1, env: [KEEP], gates: [{id: own, run: "true"}]}
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [("grep -v '[<=>|]'", 0), ("git show from/a:", 0), ("echo three | cat - ", 3), ("printf 'one\\n'; true", 3)],
    ids=["both", "one side", "more", "less"],
)
def test_a_protected_file_in_conflict_is_as_one_side_or_holds_both(tmp_path: Path, words: str, code: int) -> None:
    (tmp_path / "keep").mkdir()
    path = "tests/test_f.sh.test.js"
    glue = "" if words.endswith(":") else " "
    join = f'cp "$BRIEF" "$KEEP/brief.txt"; {words}{glue}{path} > new; grep -v "[<=>|]" new > {path}; rm new\n'
    files = {path: "zero\n", "g.txt": "x\n", "interlock.yaml": GROWN, "join.sh": join}
    world = new_world(tmp_path, files, KEEP=str(tmp_path / "keep"))
    said = world.ask("run", "-t", "x").ended(code)
    brief = (tmp_path / "keep/brief.txt").read_text()
    assert f"- {path}, or keep every line of both sides and add nothing" in brief
    if code:
        assert (
            "in a conflict, but it is protected: take the file as one side has it"
            in said.text + world.ask("show", "-v").out
        )
