"""A dataclass whose methods are compiled late is what the standard library makes of the same class."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
import threading
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from strake_oci.lazy_dataclass import dataclass as lazy

ROOT = Path(__file__).parents[3]
T = TypeVar("T")
Decorator = Callable[..., Any]
Call = tuple[tuple[Any, ...], dict[str, Any]]


def _plain(decorator: Decorator) -> type:
    @decorator(frozen=True, slots=True)
    class Layer:
        """A layer."""

        kind: ClassVar[str] = "layer"
        digest: str
        size: int = 0
        names: list[str] = field(default_factory=list, compare=False)
        made: str = field(default="now", repr=False, hash=False)
        total: int = field(init=False, default=7)

        def __post_init__(self) -> None:
            if self.size < 0:
                raise ValueError("a size is not negative")

    return Layer


def _named(decorator: Decorator) -> type:
    @decorator(frozen=True, slots=True, kw_only=True)
    class Layer(Generic[T]):
        digest: str
        size: T

    return Layer


def _derived(decorator: Decorator) -> type:
    @decorator(frozen=True, slots=True)
    class Layer(_plain(decorator)):  # type: ignore[misc] # mypy knows no class that a function makes
        more: str = ""

    return Layer


def _with_methods(decorator: Decorator) -> type:
    @decorator(frozen=True, slots=True)
    class Layer:  # noqa: PLW1641 - dataclasses make the hash
        digest: str
        size: int = 0

        def __eq__(self, other: object) -> bool:
            return type(other) is type(self) and hash(other) == hash(self)

        def __repr__(self) -> str:
            return f"<{self.digest}>"

    return Layer


def _without_fields(decorator: Decorator) -> type:
    @decorator(frozen=True, slots=True)
    class Layer:
        pass

    return Layer


def _mutable(decorator: Decorator) -> type:
    @decorator(slots=True)
    class Layer:
        digest: str
        size: int = 0

    return Layer


CLASSES = {
    each.__name__[1:]: each for each in (_plain, _named, _derived, _with_methods, _without_fields, _mutable)
}
CALLS: tuple[Call, ...] = (
    ((), {}),
    (("a",), {}),
    (("b",), {}),
    (("a", 1), {}),
    (("a", -1), {}),
    ((), {"digest": "a", "size": 1}),
    (("a", 1, ["x"]), {"made": "then"}),
    (("a",), {"total": 1}),
    (("a",), {"more": "x"}),
    (("a", 1, [], "then", "x"), {}),
)


def _made(cls: type, call: Call) -> object:
    """Return an instance, or the type and the words of its error."""
    try:
        return cls(*call[0], **call[1])
    except (TypeError, ValueError) as error:
        return type(error), str(error)


def _instances(cls: type) -> list[Any]:
    return [each for call in CALLS if isinstance(each := _made(cls, call), cls)]


def _is_refused(work: Callable[[], object]) -> bool:
    """Return whether a change is refused: the standard library has two errors for it, one of them by mistake."""
    try:
        work()
    except (TypeError, AttributeError):
        return True
    return False


@pytest.fixture(params=CLASSES)
def both(request) -> tuple[type, type]:
    make = CLASSES[request.param]
    return make(dataclasses.dataclass), make(lazy)


def test_it_takes_what_the_standard_library_takes(both):
    for call in CALLS:
        first, second = (_made(each, call) for each in both)
        assert repr(first) == repr(second)


def test_its_instances_are_equal_where_the_standard_librarys_are(both):
    first, second = (_instances(each) for each in both)
    assert first
    for one, other in zip(first, second, strict=True):
        assert [one == each for each in first] == [other == each for each in second]
        assert one != other, "of two classes"
        if both[0].__hash__ is not None:
            assert hash(one) == hash(other)


def test_its_instances_are_changed_and_copied_alike(both):
    for one, other in zip(*map(_instances, both), strict=True):
        for name in ("size", "nothing"):
            assert _is_refused(lambda: setattr(one, name, 3)) == _is_refused(lambda: setattr(other, name, 3))  # noqa: B023 - called at once
        assert dataclasses.asdict(one) == dataclasses.asdict(other)
        for work in (copy.copy, copy.deepcopy):
            assert repr(work(one)) == repr(work(other)) == repr(other)
        if hasattr(one, "size"):
            assert repr(dataclasses.replace(one, size=4)) == repr(dataclasses.replace(other, size=4))
        assert _is_refused(lambda: delattr(one, "size")) == _is_refused(lambda: delattr(other, "size"))  # noqa: B023 - called at once


def test_it_has_the_names_of_the_standard_library(both):
    first, second = both
    for name in ("__slots__", "__match_args__", "__module__", "__qualname__"):
        assert getattr(first, name) == getattr(second, name)
    assert "__dict__" not in dir(second)
    for name in ("__init__", "__repr__", "__eq__"):
        assert getattr(first, name).__qualname__.rpartition(".")[2] == getattr(second, name).__name__
    shown = [[(each.name, each.type, each.init) for each in dataclasses.fields(cls)] for cls in both]
    assert shown[0] == shown[1]


def test_a_method_is_compiled_once_and_then_the_classs_own():
    cls = CLASSES["plain"](lazy)
    before = {name: getattr(cls, name) for name in ("__init__", "__eq__", "__hash__", "__repr__")}
    assert len({cls("a"), cls("a")}) == 1
    repr(cls("a"))
    after = {name: getattr(cls, name) for name in before}
    assert all(before[name] is not after[name] for name in before)
    cls("b") == cls("b")  # noqa: B015 - compiles nothing
    assert {name: getattr(cls, name) for name in before} == after


@lazy(frozen=True, slots=True)
class Kept:
    """A class that a pickle finds by its name."""

    digest: str
    size: int = 0


def test_a_match_takes_it_apart():
    match Kept("a", 3):
        case Kept("a", size):
            assert size == 3
        case other:
            pytest.fail(f"{other} was not taken apart")


def test_it_can_be_pickled():
    assert pickle.loads(pickle.dumps(Kept("a", 1))) == Kept("a", 1)


def test_threads_that_make_the_first_instances_find_them_equal():
    for _ in range(20):
        cls = CLASSES["plain"](lazy)
        start = threading.Barrier(8)
        found: list[Any] = []

        def make(cls: type = cls, start: threading.Barrier = start, found: list[Any] = found) -> None:
            start.wait(180)
            instance = cls("a", 1)
            found.append((instance, hash(instance), repr(instance)))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len({each for each, _, _ in found}) == 1
        assert len({(number, text) for _, number, text in found}) == 1
        assert len(found) == 8


def test_the_builder_and_the_library_have_no_others():
    """A class of the standard library cannot be derived from one of these, and costs each start its compilation."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("builder/strake_builder", "oci/strake_oci")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and "from dataclasses import dataclass" in path.read_text()
        if any(ast.unparse(each) == "dataclass(frozen=True, slots=True)" for each in node.decorator_list)
    ]
    assert found == []
