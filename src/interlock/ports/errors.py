"""What is expected to go wrong, and what ends an effect. Anything else is a bug, and crashes."""

from __future__ import annotations

from interlock.core.events import Finding


class InterlockError(Exception):
    """An expected error: says what happened, where, and what would be right."""


class UsageError(InterlockError):
    """The call or the pipeline is wrong. Exit code 2."""


class InfrastructureError(InterlockError):
    """An infrastructure error: of the machine, a program or the disk. `permanent` where retrying cannot help; `undone`
    where it is known that nothing of the effect is there. `rule` names the kind in findings."""

    rule = "infrastructure"

    def __init__(self, message: str, *, permanent: bool = False, undone: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.undone = undone


class Damaged(InfrastructureError):
    """What was recorded is not all there any more, or not as it was. Nothing that is done again can help."""

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        super().__init__(message, permanent=permanent)


class Fenced(InterlockError):
    """This process no longer owns the run: another one took it."""


class Cancelled(InterlockError):
    """The effect is no longer wanted; it left nothing behind."""


class UnfitTree(InterlockError):
    """What the agent left cannot be made into a commit. `findings` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


class UnfitSetup(InterlockError):
    """Setup fails on these files, and works on those that they are compared with. `output` is what it printed last."""

    def __init__(self, message: str, output: bytes) -> None:
        super().__init__(message)
        self.output = output


class DeliveryRefused(InterlockError):
    """A person must decide: the branch is somewhere else, or checked out. It is said after a look: `undone` holds, but
    where somebody had begun earlier."""

    undone = True
