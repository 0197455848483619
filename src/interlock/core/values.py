"""Frozen dataclasses, made in a fraction of the time, constructed in half of it and copied in a tenth of it: for a fast
start, and for reading long histories.

`dataclass` does what `dataclasses.dataclass` does for frozen classes. That one compiles six functions for each class;
here it is one, `__init__`, and the others are closures. A class that is not frozen, has an order or is extended by a
class of the standard decorator needs the standard decorator.

A frozen dataclass sets each field through `object.__setattr__`, which looks the field up by name every
time. Here the slots' own descriptors are called, from a function written for the class, which is how
dataclasses themselves make `__init__`. `constructor` is for classes with slots and without `__post_init__` only.

`changed` does what `dataclasses.replace` does. It is for frozen dataclasses without slots and without `__post_init__`:
their fields are their `__dict__`. To the type checker these are `replace` and `dataclass` themselves, which check names
and types of fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

T = TypeVar("T")


def constructor(cls: type[T]) -> Callable[..., T]:
    """Makes a `cls` of the values of its fields in order; it raises TypeError for too few or too many of them.

    Raises TypeError for a class that it does not fit.
    """
    parts = fields(cls)  # type: ignore[arg-type]
    if "__slots__" not in vars(cls) or hasattr(cls, "__post_init__") or not parts:
        raise TypeError(f"{cls.__name__} needs slots, fields and no __post_init__")
    scope: dict[str, Any] = {"new": object.__new__, "cls": cls}
    scope.update({f"set_{each.name}": vars(cls)[each.name].__set__ for each in parts})
    scope.update({f"default_{each.name}": default_of(each) for each in parts})
    sets = (f"set_{each.name}(self, {each.name})" for each in parts)
    parameters = (_parameter(each) for each in parts)
    return _compiled("construct", parameters, ("self = new(cls)", *sets, "return self"), scope)


def default_of(each: Field[Any]) -> Any:  # noqa: ANN401
    """The value of a field that is left out; MISSING where it has none."""
    return each.default if each.default_factory is MISSING else each.default_factory()


def _parameter(each: Field[Any]) -> str:
    has_default = each.default is not MISSING or each.default_factory is not MISSING
    return f"{each.name}=default_{each.name}" if has_default else each.name


def _compiled(name: str, parameters: Iterable[str], lines: Iterable[str], scope: dict[str, Any]) -> Callable[..., Any]:
    exec("\n    ".join([f"def {name}({', '.join(parameters)}):", *lines]), scope)
    made: Callable[..., Any] = scope[name]
    return made


# --- the decorator ------------------------------------------------------------------------------


def _frozen(cls: type, *, slots: bool) -> type:
    """Fields, slots and patterns are the work of the standard decorator, which has nothing to compile here."""
    documented, own = cls.__doc__, frozenset(vars(cls))
    cls.__doc__ = documented or "-"  # else one is made of the signature, slowly
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    made.__doc__ = documented
    for name, method in {"__init__": _init(made, slots=slots), **_methods(made), **_FROZEN}.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _init(cls: type, *, slots: bool) -> Callable[..., None]:
    parameters, scope = ["self"], dict[str, Any]()
    lines = ["pass"] if slots else ["values = self.__dict__"]
    for each in sorted(fields(cls), key=lambda each: bool(each.kw_only)):
        name, made_anew = each.name, each.default_factory is not MISSING
        if each.init:
            parameters += ["*"] if each.kw_only and "*" not in parameters else []
            parameters.append(_parameter(each))
            scope[f"default_{name}"] = MISSING if made_anew else each.default
        if made_anew:
            scope[f"make_{name}"] = each.default_factory
            lines.append(f"{f'if {name} is default_{name}: ' if each.init else ''}{name} = make_{name}()")
        if slots:
            scope[f"set_{name}"] = getattr(cls, name).__set__
        lines.append(f"set_{name}(self, {name})" if slots else f"values[{name!r}] = {name}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    return _compiled("__init__", parameters, lines, scope)


def _methods(cls: type) -> dict[str, Callable[..., Any]]:
    shown = [each.name for each in fields(cls) if each.repr]
    values = _values([each.name for each in fields(cls) if each.compare])

    def equal(self: object, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def represent(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return {"__eq__": equal, "__hash__": lambda self: hash(values(self)), "__repr__": represent}


def _values(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple([getattr(self, name) for name in names])


def _refuse(self: object, name: str, *value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r}")


def _restore(self: object, state: Any) -> None:  # noqa: ANN401 - as `copy` and `pickle` give it
    """The fields of a copy; those in slots come in a second part."""
    for name, value in (state[1] if isinstance(state, tuple) else state).items():
        object.__setattr__(self, name, value)


_FROZEN = {"__setattr__": _refuse, "__delattr__": _refuse, "__setstate__": _restore}


if TYPE_CHECKING:
    from dataclasses import dataclass
    from dataclasses import replace as changed
else:
    _new, _set = object.__new__, object.__setattr__

    def dataclass(*, frozen: bool, slots: bool = False) -> Callable[[type], type]:
        """As `dataclasses.dataclass`."""
        if not frozen:
            raise TypeError("a class that is not frozen needs the standard decorator")
        return partial(_frozen, slots=slots)

    def changed(value: T, /, **changes: object) -> T:
        """A copy of `value` with these fields."""
        made = _new(type(value))
        _set(made, "__dict__", value.__dict__ | changes)
        return made


__all__ = ["changed", "constructor", "dataclass"]
