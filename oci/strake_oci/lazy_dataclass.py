"""Frozen dataclasses whose methods are compiled when they are first called.

The standard library writes the source of six methods for each dataclass and compiles it, which takes over
half a millisecond. A start of the builder makes three hundred such classes and uses a quarter of them: that
was a quarter of its processor time, and a builder pod has two starts (decision 0060).

A class has what `dataclasses.dataclass(frozen=True, slots=True)` gives it. Its `__init__`, `__eq__`,
`__hash__` and `__repr__` are replaced by the standard library's own at their first call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

__all__ = ["dataclass"]

_METHODS: Final[Mapping[str, dict[str, Any]]] = MappingProxyType(
    {
        "__init__": {"init": True, "frozen": True, "slots": True},
        "__eq__": {"eq": True},
        "__hash__": {"unsafe_hash": True},
        "__repr__": {"repr": True},
    }
)
"""What the standard library is asked for, for each method."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({"init": False, "eq": False, "repr": False})


def _dataclass(
    cls: type | None = None, /, *, frozen: bool = False, slots: bool = False, **options: bool
) -> Any:
    """Make a class a dataclass, as the standard library's decorator does.

    Args:
        cls: The class.
        frozen: Its instances cannot be changed. With `slots`, and of the other options at most `kw_only`, its
            methods are compiled when they are first called; any other class is the standard library's.
        slots: Its instances have no dictionary.
        **options: The others of the standard library's.
    """
    if cls is None:
        return lambda each: _dataclass(each, frozen=frozen, slots=slots, **options)
    if not (frozen and slots and options.keys() <= {"kw_only"}):
        return dataclasses.dataclass(frozen=frozen, slots=slots, **options)(cls)
    own = set(cls.__dict__) - ({"__hash__"} if cls.__dict__.get("__hash__", cls) is None else set())
    made: type = dataclasses.dataclass(slots=True, **_NOTHING, **options)(cls)
    methods = {name: _stand_in(made, name) for name in _METHODS} | _frozen(made)
    for name, method in methods.items():
        if name not in own:
            method.__name__, method.__qualname__ = name, f"{made.__qualname__}.{name}"
            setattr(made, name, method)
    return made


def _stand_in(cls: type, name: str) -> Callable[..., Any]:
    """Return a method that, when it is first called, compiles the one that is to be there and calls it."""

    def method(self: object, /, *args: Any, **named: Any) -> Any:
        if getattr(cls, name) is method:  # no lock: two threads would compile the same, and a fork keep it
            setattr(cls, name, _compiled(cls, name))
        return getattr(cls, name)(self, *args, **named)

    return method


def _compiled(cls: type, name: str) -> Callable[..., Any]:
    """Return the standard library's method, of a class that has the same fields."""
    fields = [(each.name, each.type, _same(each)) for each in dataclasses.fields(cls)]
    namespace = {"__post_init__": None} if hasattr(cls, "__post_init__") else {}
    options = {**_NOTHING, **_METHODS[name]}
    twin = dataclasses.make_dataclass(cls.__name__, fields, namespace=namespace, **options)
    method: Callable[..., Any] = getattr(twin, name)
    method.__qualname__ = f"{cls.__qualname__}.{name}"
    method.__module__ = cls.__module__
    return method


def _same(field: dataclasses.Field[Any]) -> Any:
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only")
    return dataclasses.field(**{each: getattr(field, each) for each in names})


def _frozen(cls: type) -> dict[str, Callable[..., Any]]:
    """Return what keeps instances from being changed, and copies them all the same."""
    names = tuple(each.name for each in dataclasses.fields(cls))

    def set_attribute(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def delete_attribute(self: object, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def get_state(self: object) -> list[Any]:
        return [getattr(self, each) for each in names]

    def set_state(self: object, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {
        "__setattr__": set_attribute,
        "__delattr__": delete_attribute,
        "__getstate__": get_state,
        "__setstate__": set_state,
    }


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
