"""Instruction files reach every agent from the base, whatever an earlier stage made of them."""

from __future__ import annotations

from pathlib import Path

from tests.contract.cli_world import new_world

_PIPELINE = """\
version: 1
name: own
agents:
  wild: {use: command, run: 'echo "Be wild." > AGENTS.md'}
  coder: {use: command, run: 'cat > "$KEPT/$(dirname "$INTERLOCK_ATTEMPT")"; echo $$ > a.txt', env: [KEPT]}
  terse:
    use: command
    run: 'cat > "$KEPT/$(dirname "$INTERLOCK_ATTEMPT")"; echo $$ > a.txt'
    env: [KEPT]
    instructions: [docs/style.md]
  critic:
    use: command
    env: [KEPT]
    run: |
      cat > "$KEPT/critic"
      mark=$(grep -o 'hold the mark [0-9a-f]*' "$KEPT/critic" | head -1 | cut -d' ' -f4)
      rest='"verdict": "approve", "findings": [], "earlier": [], "requirements": []'
      printf '{"mark": "%s", %s}' "$mark" "$rest"
stages:
  first: {agent: wild, authors: [AGENTS.md], gates: [{id: ok, run: "true"}]}
  second: {needs: [first], agent: coder, gates: [{id: look, review: {by: [critic]}}]}
  third: {needs: [second], agent: terse, gates: [{id: ok, run: "true"}]}
  fourth: {needs: [third], agent: terse, instructions: none, gates: [{id: ok, run: "true"}]}
"""


_SKILLED = """\
version: 1
name: own
agents:
  coder:
    use: command
    run: |
      cat > "$TMPDIR/brief"
      file=$(grep -o '/[^ ]*SKILL.md' "$TMPDIR/brief")
      { grep '^- ship' "$TMPDIR/brief" | sed 's/ (.*//'; sed -n '5,$p' "$file"; } > a.txt
      cat "$(dirname "$file")/steps/one.txt" >> a.txt
stages:
  code: {agent: coder, gates: [{id: ok, run: "true"}]}
"""


def test_they_come_from_the_base(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    files = {
        "interlock.yaml": _PIPELINE,
        "AGENTS.md": "Be careful.\n",
        "docs/style.md": "Be terse.\n",
    }
    world = new_world(tmp_path, files, KEPT=str(kept))
    before = {name: world.ask("plan", "--brief", name).ended(0).out for name in ("second", "third", "fourth")}
    world.ask("run", "--task", "Do it.", "--plain").ended(0)
    second, third, fourth, critic = ((kept / name).read_text() for name in ("second", "third", "fourth", "critic"))
    assert "### AGENTS.md\nBe careful." in second
    assert "Be careful." in critic
    assert "### docs/style.md\nBe terse." in third
    assert "Be careful." not in third
    assert [_told(text) for text in before.values()] == [_told(text) for text in (second, third, fourth)]
    assert "Instructions of the project" not in fourth
    assert not [text for text in (second, third, fourth) if "Be wild." in text]


def test_a_skill_lies_beside_the_checkout_with_all_its_files(tmp_path: Path) -> None:
    files = {
        "interlock.yaml": _SKILLED,
        ".claude/skills/ship/SKILL.md": "---\nname: ship\ndescription: How to ship\n---\nAll of it.\n",
        ".claude/skills/ship/steps/one.txt": "the first step",
    }
    world = new_world(tmp_path, files)
    told = "- ship: How to ship ([beside the checkout]/skills/0-ship/SKILL.md)"
    assert told in world.ask("plan", "--brief", "code").ended(0).out
    world.ask("run", "--task", "Do it.", "--plain").ended(0)
    [branch] = world.git("for-each-ref", "--format=%(refname)", "refs/heads/interlock").split()
    assert world.git("show", f"{branch}:a.txt") == "- ship: How to ship\nAll of it.\nthe first step"


def test_a_brief_is_shown_where_nothing_is_committed_yet(tmp_path: Path) -> None:
    world = new_world(tmp_path, {"interlock.yaml": _SKILLED, "AGENTS.md": "Be careful.\n"})
    world.git("checkout", "-q", "--orphan", "none")
    assert "Be careful." not in world.ask("plan", "--brief", "code").ended(0).out


def _told(brief: str) -> str:
    return brief.partition("## Instructions of the project")[2].partition("\n## ")[0]
