"""Rules across fields and entries: one sentence, checked by the API server and by pydantic alike.

A rule's message is what somebody reads at `kubectl apply`, so it says what to do. The expression in
Python stands beside the one in CEL, so that `strake run -f` refuses exactly what a cluster refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """What must hold for a value."""

    cel: str
    """The condition in CEL; `self` is the value as it lies in the cluster."""
    message: str
    holds: Callable[[T], bool]
    """The same condition in Python, of the parsed value."""

    def check(self, value: T) -> T:
        """Return the value.

        Raises:
            ValueError: The rule does not hold; the text is the rule's message.
        """
        if not self.holds(value):
            raise ValueError(self.message)
        return value


def obeying(value: T, *rules: Rule[Any]) -> T:
    """Return a value for which rules hold: what a model's validator returns.

    Raises:
        ValueError: One does not; the text is its message.
    """
    for rule in rules:
        rule.check(value)
    return value


def cel_rules(*rules: Rule[Any]) -> dict[str, Any]:
    """Return the schema extension that makes an API server check the rules."""
    return {"x-kubernetes-validations": [{"rule": rule.cel, "message": rule.message} for rule in rules]}


def checked(*rules: Rule[Any]) -> tuple[Any, ...]:
    """Return what makes a field obey rules, here and in a cluster; unpack it into `Annotated`."""
    return (*(AfterValidator(rule.check) for rule in rules), Field(json_schema_extra=cel_rules(*rules)))


def keyed(name: str, *, most: int) -> tuple[Any, ...]:
    """Return what makes a list one of at most `most` documents whose fields of a name all differ.

    Unpack it into `Annotated`. Server-side apply merges the list by that field.
    """

    def check(entries: tuple[Any, ...]) -> tuple[Any, ...]:
        _refuse_repeated([getattr(entry, name) for entry in entries], f"the {name} ")
        return entries

    extra: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [name]}
    return Field(max_length=most, json_schema_extra=extra), AfterValidator(check)


def a_set(*, most: int, least: int = 0) -> tuple[Any, ...]:
    """Return what makes a list one of `least` to `most` different texts; unpack it into `Annotated`."""

    def check(entries: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_repeated(list(entries), "")
        return entries

    extra: dict[str, Any] = {"x-kubernetes-list-type": "set"}
    return Field(min_length=least or None, max_length=most, json_schema_extra=extra), AfterValidator(check)


def _refuse_repeated(values: list[str], what: str) -> None:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ValueError(f"{what}{value!r} is there twice: drop one of the two")
