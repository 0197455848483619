"""A human who answers a simulated run: to the point, late, twice, or with nonsense."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.chance import Chance
from tests.simulation.store import Commit, Store

from interlock.core.events import Action, PauseReason
from interlock.core.inbox import Answer
from interlock.core.state import Phase, RunState, StageState

LIMITS = ("attempts", "tokens", "cost_usd", "wall")


@dataclass(slots=True)
class Human:
    run: str
    chance: Chance
    store: Store
    base: str
    said: list[Answer] = field(default_factory=list)
    _count: int = 0

    def noise(self, state: RunState) -> Answer:
        """Anything at all about anything at all, or something said before under another id."""
        if self.said and self.chance.one_in(0.3):
            old = self.chance.choice(self.said)
            return self._say(old.action, old.stage, subject=old.subject, gate=old.gate, override=old.override)
        rejected = [item.event.attempt for stage in state.stages.values() for item in stage.rejections]
        if rejected and self.chance.one_in(0.3):
            attempt = self.chance.choice(rejected)
            return self._say(Action.ACCEPT, attempt.stage, subject=str(attempt), override=True)
        stage_id = self.chance.choice([*state.stages, "nowhere"])
        epoch, number = self.chance.randrange(0, 3), self.chance.randrange(0, 4)
        action = self.chance.choice(
            [Action.APPROVE, Action.REJECT, Action.RETRY, Action.RETRY, Action.ACCEPT, Action.ACCEPT, Action.CONTINUE]
            + [Action.RAISE]
            + ([Action.CANCEL] if self.chance.one_in(0.03) else [])
        )
        return self._say(
            action,
            stage_id,
            subject=self.chance.choice(("", f"{stage_id}/{epoch}.{number}", "gibberish")),
            gate=self.chance.choice(("", f"{stage_id}/human", "nowhere/nothing")),
            comment=self.chance.choice(("", "like this")),
            commit=self._commit() if self.chance.one_in(0.3) else "",
            override=self.chance.one_in(0.5),
            now=self.chance.one_in(0.5),
            limits=((self.chance.choice((*LIMITS, "nonsense")), self.chance.choice((-1.0, 0.0, 5.0))),),
            branch="elsewhere" if self.chance.one_in(0.3) else "",
        )

    def regret(self) -> Answer:
        """It is all to end, whatever is at work."""
        return self._say(Action.CANCEL, "")

    def help(self, state: RunState) -> list[Answer]:
        """Answers to all that waits, each in some fitting way."""
        answers = [self._help_stage(name, stage) for name, stage in state.stages.items()]
        if state.pause is not None:
            action = Action.CONTINUE if self.chance.one_in(0.7) else Action.RETRY
            branch = self.chance.choice(("", "elsewhere", "another", "no name"))
            answers.append(self._say(action, self.chance.choice(list(state.stages)), branch=branch))
        return [answer for answer in answers if answer is not None]

    def settle(self, state: RunState) -> list[Answer]:
        """Say yes to everything; what cannot be said yes to is ended."""
        answers = [self._settle_stage(name, stage) for name, stage in state.stages.items()]
        if state.pause is not None:
            answers.append(self._say(Action.CANCEL, ""))
        return [answer for answer in answers if answer is not None]

    def _help_stage(self, name: str, stage: StageState) -> Answer | None:
        if stage.phase is Phase.JUDGING and stage.asked and stage.attempt is not None:
            action = Action.APPROVE if self.chance.one_in(0.6) else Action.REJECT
            gate = sorted(stage.asked)[0]
            return self._say(action, name, subject=str(stage.attempt.attempt), gate=gate, comment="because")
        if stage.phase is not Phase.PAUSED or stage.pause is None:
            return None
        if stage.pause.reason is PauseReason.LIMIT and self.chance.one_in(0.8):
            return self._say(Action.RAISE, "", limits=tuple((name, 10.0) for name in LIMITS))
        if stage.pause.reason is PauseReason.INFRASTRUCTURE and self.chance.one_in(0.6):
            return self._say(Action.CONTINUE, "")
        return self._mend(name, stage)

    def _mend(self, name: str, stage: StageState) -> Answer:
        match self.chance.choice(("retry", "retry", "now", "commit", "accept", "accept", "upstream")):
            case "retry":
                return self._say(Action.RETRY, name, comment=self.chance.choice(("", "mind the gap")))
            case "now":
                return self._say(Action.RETRY, name, now=True)
            case "commit":
                return self._say(Action.RETRY, name, commit=self._commit())
            case "accept":
                return self._accept(name, stage)
            case _:
                upstream = self.chance.choice(sorted({name, *(item.split(":")[0] for item in self._known(stage))}))
                return self._say(Action.RETRY, upstream, now=self.chance.one_in(0.5))

    def _known(self, stage: StageState) -> list[str]:
        contents = self.store.contents[stage.input.tree] if stage.input is not None else frozenset[str]()
        return [content for content in contents if ":" in content]

    def _accept(self, name: str, stage: StageState) -> Answer:
        attempts = [str(item.event.attempt) for item in stage.rejections]
        if stage.candidate is not None:
            attempts.append(str(stage.candidate.attempt))
        if not attempts:
            return self._say(Action.RETRY, name)
        override = self.chance.one_in(0.7)
        return self._say(Action.ACCEPT, name, subject=self.chance.choice(attempts), override=override)

    def _settle_stage(self, name: str, stage: StageState) -> Answer | None:
        if stage.asked and stage.attempt is not None and stage.phase is Phase.JUDGING:
            return self._say(Action.APPROVE, name, subject=str(stage.attempt.attempt), gate=sorted(stage.asked)[0])
        if stage.phase is not Phase.PAUSED:
            return None
        rejected = [str(item.event.attempt) for item in stage.rejections]
        if rejected and stage.answer is None:
            return self._say(Action.ACCEPT, name, subject=rejected[-1], override=True)
        return self._say(Action.CANCEL, "")

    def _commit(self) -> str:
        if self.chance.one_in(0.2):
            return "nosuchcommit"
        self._count += 1
        tree = self.store.tree(self.store.of(self.base) | {f"person:p{self._count}"})
        return self.store.commit(Commit(tree, frozenset({"person"})), "person", self._count)

    def _say(
        self,
        action: Action,
        stage: str,
        *,
        subject: str = "",
        gate: str = "",
        comment: str = "",
        commit: str = "",
        override: bool = False,
        now: bool = False,
        limits: tuple[tuple[str, float], ...] = (),
        branch: str = "",
    ) -> Answer:
        answer = Answer(
            f"answer-{len(self.said)}", self.run, action, "ann", 0.0, stage, subject, gate, comment, commit,
            override, now, limits if action is Action.RAISE else (), branch if action is Action.CONTINUE else "",
        )  # fmt: skip
        self.said.append(answer)
        return answer
