"""Which tests must have the operator alone, read from the fixtures that they ask for.

The controller of pytest-xdist gives tests out by their names alone, so the sources are read, not imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_FIXTURES: Final = frozenset({"alone", "changing"})
_CHANGES: Final = "changed"
"""The method of the platform that starts the operator again with other settings."""


@cache
def alone(file: str) -> frozenset[str]:
    """Return the names of a file's tests that stop the operator or change its settings.

    Args:
        file: From the root of the repository, with slashes.
    """
    body = ast.parse((ROOT / file).read_bytes()).body
    functions = {each.name: each for each in body if isinstance(each, ast.FunctionDef)}
    for_all = {name for each in body if isinstance(each, ast.Assign) for name in _used(each.value)}
    asking = {name: {*_asked(each), *for_all} for name, each in functions.items()}
    tests = {name for name in functions if name.startswith("test_")}
    found = {name for name, each in functions.items() if _changes(each)}
    while more := {name for name, asked in asking.items() if asked & (found | _FIXTURES)} - found:
        found |= more
    is_for_all = any(_is_autouse(functions[name]) for name in found)
    return frozenset(tests if is_for_all else tests & found)


def _asked(function: ast.FunctionDef) -> Iterator[str]:
    yield from (each.arg for each in (*function.args.args, *function.args.kwonlyargs))
    for decorator in function.decorator_list:
        yield from _used(decorator)


def _used(expression: ast.expr) -> Iterator[str]:
    """Yield the fixtures of `pytest.mark.usefixtures`."""
    for each in ast.walk(expression):
        if (
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr == "usefixtures"
        ):
            yield from (str(name.value) for name in each.args if isinstance(name, ast.Constant))


def _changes(function: ast.FunctionDef) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr == _CHANGES for each in ast.walk(function))


def _is_autouse(function: ast.FunctionDef) -> bool:
    return any(
        keyword.arg == "autouse"
        for each in function.decorator_list
        if isinstance(each, ast.Call)
        for keyword in each.keywords
    )
