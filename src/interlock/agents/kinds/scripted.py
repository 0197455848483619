"""The scripted agent: a deterministic agent for demos and tests, which fails on purpose and says so.

Options: `script` (a path, or the script itself), `seed`, `rate` of failure from 0 to 1, `kinds` of failure (by default
all that the script has work for), `hang_s` (silence after which it is stopped, instead of the stage's idle timeout),
`pace_s` (the pause after each line that it prints).

Rule: the behaviour of an attempt depends only on its seed and its name, so every run and every machine gets the same.
Tokens and costs are invented. A script with any error is a BadScript that says where, and what would be right. Its
format (YAML or JSON):

    stages:
      code:
        right:                       # a list of actions; paths are relative to the folder of the work
          - write: {src/a.py: "text"}          # $ARTIFACTS/plan.md is an artifact of the stage
          - replace: {file: src/a.py, old: "a", new: "b"}
          - patch: fix.patch                   # a file beside the script; or {text: "the patch"}
          - copy: {from: upstream, to: src}    # a file or folder beside the script
          - delete: src/old.py
        wrong: [...]                 # a plausible change that is wrong; or a list of such lists, used in turn
        tamper: [...]                # a change to a protected file; the same
        sequence: [wrong_fix, edited_test, right]   # for attempts 1, 2, 3..., instead of chance
        usage: {tokens_in: 9000, tokens_out: 1200, cost_usd: 0.04}
        say: All done.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, cast

import yaml

from interlock.agents.bundled import scripted as worker
from interlock.agents.program import agent_folder, run_program
from interlock.core.pipeline import AgentSpec
from interlock.ports import Agent, Brief, Cancel, Checkout, Ended, Outcome


class Behaviour(StrEnum):
    RIGHT = "right"
    WRONG_FIX = "wrong_fix"  # a plausible change that is wrong
    EDITED_TEST = "edited_test"  # changes a protected file
    CRASH = "crash"  # stops in the middle of the right change
    LIE = "lie"  # claims success without any change
    HANG = "hang"  # prints nothing more, and never ends


FAULTS = tuple(behaviour for behaviour in Behaviour if behaviour is not Behaviour.RIGHT)


_CLAIM = "Done: the change is made and all tests pass."
_NAMES = ("script", "seed", "rate", "kinds", "hang_s", "pace_s")


@dataclass(frozen=True, slots=True)
class _Options:
    script: object
    seed: int = 0
    rate: float = 0.2
    kinds: tuple[Behaviour, ...] = FAULTS
    hang_s: float | None = None
    pace_s: float = 0.0


def adapter(environ: Mapping[str, str], folder: Path) -> Agent:
    return Scripted(folder)


class Scripted:
    """Implements ports.Agent. The `session` of its outcome names the behaviour."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def work(self, spec: AgentSpec, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
        try:
            options = _options(spec)
            stages = load_script(options.script, self._folder)
            if brief.attempt.stage not in stages:
                raise BadScript(f"stages: no entry for the stage {brief.attempt.stage!r}")
        except BadScript as error:
            return Outcome(Ended.UNAVAILABLE, f"agent {spec.name}: {error}", permanent=True)
        return _run(options, stages[brief.attempt.stage], brief, checkout, cancel)


def _run(options: _Options, script: StageScript, brief: Brief, checkout: Checkout, cancel: Cancel) -> Outcome:
    behaves = _behaviour(options, script, brief)
    plan = agent_folder(checkout) / "scripted.json"
    plan.write_text(json.dumps(_plan(options, script, brief, behaves)), encoding="utf-8")
    argv = (sys.executable, "-I", "-S", str(worker.__file__), checkout.seen(plan))
    if options.hang_s is not None:
        brief = replace(brief, idle_timeout_s=options.hang_s)
    edits = (edit for way in (script.right, *script.wrong, *script.tamper) for edit in way)
    copied = tuple(dict.fromkeys(Path(edit.source) for edit in edits if edit.source))
    outcome = run_program(argv, brief, checkout, cancel, reads=copied)
    return replace(outcome, model=brief.model or "scripted", session=f"scripted:{behaves}")


def _behaviour(options: _Options, script: StageScript, brief: Brief) -> Behaviour:
    if script.sequence:
        return script.sequence[min(brief.attempt.number, len(script.sequence)) - 1]
    possible = {Behaviour.WRONG_FIX: script.wrong, Behaviour.EDITED_TEST: script.tamper}
    faults = [kind for kind in options.kinds if possible.get(kind, True)]
    return draw(options.seed, str(brief.attempt), options.rate, faults)


def _plan(options: _Options, script: StageScript, brief: Brief, behaves: Behaviour) -> dict[str, object]:
    ways = {Behaviour.WRONG_FIX: script.wrong, Behaviour.EDITED_TEST: script.tamper}.get(behaves, (script.right,))
    factor = spread(options.seed, str(brief.attempt))
    usage = {name: value * factor for name, value in script.usage.items()}
    return {
        "behaviour": behaves,
        "edits": [asdict(edit) for edit in _way(options.seed, ways, brief)],
        "usage": {name: value if name == "cost_usd" else int(value) for name, value in usage.items()},
        "say": script.say or _CLAIM,
        "seed": options.seed,
        "pace_s": options.pace_s,
    }


def _way(seed: int, ways: Sequence[tuple[Edit, ...]], brief: Brief) -> tuple[Edit, ...]:
    """The ways in turn, from a start that depends on the seed: no way twice in a row if there are several."""
    first = int(spread(seed, brief.attempt.stage) * 1_000)
    return ways[(first + brief.attempt.number) % len(ways)] if ways else ()


def _options(spec: AgentSpec) -> _Options:
    """Raises BadScript."""
    given: dict[str, object] = {}
    for name, text in spec.options:
        if name not in _NAMES:
            raise BadScript(f"option {name!r} is not one of {', '.join(_NAMES)}")
        given[name] = json.loads(text)
    if "script" not in given:
        raise BadScript("option `script` is missing: a path, or the script itself")
    kinds = given.get("kinds", list(FAULTS))
    if not isinstance(kinds, list):
        raise BadScript("option `kinds` must be a list")
    rate = _number(given, "rate", 0.2)
    if not 0 <= rate <= 1:
        raise BadScript("option `rate` must be between 0 and 1")
    return _Options(
        given["script"],
        int(_number(given, "seed", 0)),
        rate,
        tuple(behaviour(kind, "option kinds") for kind in kinds),
        _number(given, "hang_s", 0) if "hang_s" in given else None,
        _number(given, "pace_s", 0),
    )


def _number(given: Mapping[str, object], name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadScript(f"option `{name}` must be a number")
    return value


_SCRIPT_BYTES_MAX = 20_000_000
_USAGE = frozenset({"tokens_in", "tokens_out", "tokens_cached", "cost_usd"})


class BadScript(Exception):
    """The script or an option of the agent is wrong. The text says where and what would be right."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One action of the script. `do` is write, replace, patch, copy or delete; unused fields are empty."""

    do: str
    path: str = ""
    text: str = ""  # to write; the patch
    old: str = ""
    new: str = ""
    source: str = ""  # absolute, to copy


@dataclass(frozen=True, slots=True)
class StageScript:
    """The script of one stage."""

    right: tuple[Edit, ...] = ()
    wrong: tuple[tuple[Edit, ...], ...] = ()  # several ways, used in turn by the attempts
    tamper: tuple[tuple[Edit, ...], ...] = ()
    sequence: tuple[Behaviour, ...] = ()
    usage: Mapping[str, float] = field(default_factory=dict)
    say: str = ""


def load_script(source: object, folder: Path) -> Mapping[str, StageScript]:
    """The script of each stage. `source` is a path relative to `folder`, or the script itself. Raises BadScript."""
    stages, folder = _stages(source, folder)
    return {name: _stage(value, f"stages.{name}", folder) for name, value in stages.items()}


def inlined(source: object, repository: Path) -> object:
    """The script itself, with the texts of all files beside it in place of their names: what it does on any machine.
    Raises BadScript, also for a file that is no text, or is not in the repository: other people read what is sent."""
    if (name := _file_of(source)) is not None:
        _require_inside(repository / name, repository)
    load_script(source, repository)  # whatever is wrong with it is told in its words
    stages, folder = _stages(source, repository)
    ways = ("right", "wrong", "tamper")
    whole = {
        name: {key: _whole(value, folder, repository) if key in ways else value for key, value in stage.items()}
        for name, stage in stages.items()
    }
    if len(json.dumps(whole)) > _SCRIPT_BYTES_MAX:
        raise BadScript(f"with the files beside it, a script has at most {_SCRIPT_BYTES_MAX} bytes")
    return {"stages": whole}


def _require_inside(path: Path, repository: Path) -> None:
    """Raises BadScript for a path that leads out of the working tree, also by a link."""
    found, top = path.resolve(), repository.resolve()
    if not found.is_relative_to(top) or ".git" in found.relative_to(top).parts:
        hint = "put the script and what it names there, or write them into the pipeline"
        raise BadScript(f"{path}: it is not in the working tree of the repository, for other machines: {hint}")


def _stages(source: object, folder: Path) -> tuple[Mapping[str, Any], Path]:
    """What the script says of each stage, and the folder in which the files beside it are."""
    if (name := _file_of(source)) is not None:
        path = folder / name
        source, folder = _read(path), path.parent
    return _table(_table(source, "the script").get("stages"), "stages"), folder


def _file_of(source: object) -> str | None:
    """The name of the file with the script; None for the script itself."""
    name = source.get("file") if isinstance(source, Mapping) else source
    return name if isinstance(name, str) else None


def _whole(item: object, folder: Path, repository: Path) -> object:
    """The action, or all in the list of actions or ways, without names of files beside the script."""
    match item:
        case list():
            return [_whole(inner, folder, repository) for inner in item]
        case {"patch": str(name)}:
            return {"patch": {"text": _text(_beside(folder, name, "patch"), repository)}}
        case {"copy": {"from": name, "to": to}}:
            return {"write": _texts(_beside(folder, name, "copy"), str(to), repository)}
        case _:
            return item


def _texts(source: Path, to: str, repository: Path) -> dict[str, str]:
    """The texts of a file or of all files in a folder, by where they are copied to."""
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    names = [to if path == source else f"{to.rstrip('/')}/{path.relative_to(source)}" for path in files]
    return {name: _text(path, repository) for name, path in zip(names, files, strict=True)}


def _text(path: Path, repository: Path) -> str:
    _require_inside(path, repository)
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadScript(f"{path}: only text can be copied on other machines: {error}") from error


def _read(path: Path) -> object:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadScript(f"{path}: the script cannot be read: {error.strerror}") from error
    if len(content) > _SCRIPT_BYTES_MAX:
        raise BadScript(f"{path}: a script has at most {_SCRIPT_BYTES_MAX} bytes")
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError) as error:
        raise BadScript(f"{path}: neither YAML nor JSON: {error}") from error


def _stage(value: object, where: str, folder: Path) -> StageScript:
    table = _table(value, where)
    _check_keys(table, {"right", "wrong", "tamper", "sequence", "usage", "say"}, where)
    right = _row(table.get("right"), f"{where}.right", folder)
    wrong, tamper = (_ways(table.get(name), f"{where}.{name}", folder) for name in ("wrong", "tamper"))
    usage = _table(table.get("usage") or {}, f"{where}.usage")
    _check_keys(usage, _USAGE, f"{where}.usage")
    if not all(isinstance(number, int | float) for number in usage.values()):
        raise BadScript(f"{where}.usage: must be numbers")
    sequence = tuple(behaviour(name, f"{where}.sequence") for name in _list(table.get("sequence"), f"{where}.sequence"))
    numbers = cast(Mapping[str, float], usage)
    return StageScript(right, wrong, tamper, sequence=sequence, usage=numbers, say=str(table.get("say") or ""))


def behaviour(name: object, where: str) -> Behaviour:
    """Raises BadScript."""
    try:
        return Behaviour(str(name))
    except ValueError:
        raise BadScript(f"{where}: {name!r} is not one of {', '.join(Behaviour)}") from None


def _ways(value: object, where: str, folder: Path) -> tuple[tuple[Edit, ...], ...]:
    """One way from a list of actions, several ways from a list of such lists."""
    items = _list(value, where)
    if not any(isinstance(item, list) for item in items):
        return (_row(items, where, folder),) if items else ()
    return tuple(_row(item, where, folder) for item in items)


def _row(value: object, where: str, folder: Path) -> tuple[Edit, ...]:
    return tuple(edit for item in _list(value, where) for edit in _edits(item, where, folder))


def _edits(item: object, where: str, folder: Path) -> list[Edit]:
    table = _table(item, where)
    if len(table) != 1:
        raise BadScript(f"{where}: an action has one key: write, replace, patch, copy or delete")
    ((name, value),) = table.items()
    match name:
        case "write":
            files = _table(value, f"{where}.write")
            return [Edit("write", _inside(path, where), str(text)) for path, text in files.items()]
        case "replace":
            names = _fields(value, ("file", "old", "new"), f"{where}.replace")
            return [Edit("replace", _inside(names["file"], where), old=names["old"], new=names["new"])]
        case "patch" if isinstance(value, Mapping):
            return [Edit("patch", text=_fields(value, ("text",), f"{where}.patch")["text"])]
        case "patch":
            return [Edit("patch", text=_beside(folder, value, where).read_text(encoding="utf-8"))]
        case "copy":
            names = _fields(value, ("from", "to"), f"{where}.copy")
            return [Edit("copy", _inside(names["to"], where), source=str(_beside(folder, names["from"], where)))]
        case "delete":
            return [Edit("delete", _inside(value, where))]
        case _:
            raise BadScript(f"{where}: {name!r} is not an action: use write, replace, patch, copy or delete")


def _inside(path: object, where: str) -> str:
    pure = PurePosixPath(str(path))
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise BadScript(f"{where}: {path}: must be a relative path without `..`, or begin with $ARTIFACTS/")
    return str(path)


def _beside(folder: Path, name: object, where: str) -> Path:
    path = (folder / str(name)).resolve()
    if not path.exists():
        raise BadScript(f"{where}: {path}: no such file")
    return path


def _fields(value: object, names: tuple[str, ...], where: str) -> dict[str, str]:
    table = _table(value, where)
    _check_keys(table, set(names), where)
    missing = [name for name in names if name not in table]
    if missing:
        raise BadScript(f"{where}: {', '.join(missing)} is missing")
    return {name: str(table[name]) for name in names}


def _check_keys(table: Mapping[str, Any], names: set[str] | frozenset[str], where: str) -> None:
    for name in table:
        if name not in names:
            raise BadScript(f"{where}: {name!r} is not one of {', '.join(sorted(names))}")


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadScript(f"{where}: must be a mapping, such as `stages: {{code: ...}}`")
    return cast(Mapping[str, Any], value)


def _list(value: object, where: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadScript(f"{where}: must be a list")
    return value


def draw(seed: int, attempt: str, rate: float, faults: Sequence[Behaviour]) -> Behaviour:
    """RIGHT, or with probability `rate` one of `faults`, all equally likely."""
    chance, choice = _numbers(seed, attempt)
    if not faults or chance / 2**64 >= rate:
        return Behaviour.RIGHT
    return faults[choice % len(faults)]


def spread(seed: int, attempt: str) -> float:
    """A factor between 0.8 and 1.2 for the invented usage."""
    return 0.8 + 0.4 * _numbers(seed, f"usage {attempt}")[0] / 2**64


def _numbers(seed: int, attempt: str) -> tuple[int, int]:
    digest = hashlib.sha256(f"{seed} {attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")
