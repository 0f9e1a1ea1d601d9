"""Every test asserts something: itself, or in what it calls of the tests' own.

A test that only calls is green whatever it gets. Where that nothing is raised is all there is to see, the test looks at
something afterwards that would be otherwise. What a fixture asserts for every test does not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
_CHECKS = {"assert", "raises", "warns", "fail"}


class _Module:
    """A file of the tests.

    Attributes:
        origins: The modules that its names are from.
        functions: Each function or method: its name, and the names that it calls.
        asserting: Names of functions and methods that are known to assert something.
    """

    def __init__(self, path: Path) -> None:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
        self.origins = {str(each.module) for each in nodes if isinstance(each, ast.ImportFrom)}
        self.functions: list[tuple[str, set[str]]] = []
        self.asserting: set[str] = set()
        for function in nodes:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = list(ast.walk(function))
                called = {_called(each) for each in inside if isinstance(each, ast.Call)}
                called |= {"assert"} if any(isinstance(each, ast.Assert) for each in inside) else set()
                self.functions.append((function.name, called))


class Suite:
    """The functions of a tree of tests, and which of them assert something."""

    def __init__(self, root: Path) -> None:
        files = sorted((root / "tests").rglob("*.py"))
        self._modules = {
            ".".join(path.relative_to(root).with_suffix("").parts): _Module(path) for path in files
        }
        while self._learns():
            pass

    def silent(self) -> Iterator[str]:
        """Yield each test that asserts nothing, with its module."""
        for name, module in self._modules.items():
            if name.rpartition(".")[2].startswith("test_"):
                visible = self._visible(module)
                for function, called in module.functions:
                    if function.startswith("test_") and not called & visible:
                        yield f"{name}::{function}"

    def _learns(self) -> bool:
        before = sum(len(module.asserting) for module in self._modules.values())
        for module in self._modules.values():
            visible = self._visible(module)
            module.asserting |= {name for name, called in module.functions if called & visible}
        return sum(len(module.asserting) for module in self._modules.values()) > before

    def _visible(self, module: _Module) -> set[str]:
        """Return the functions that assert: pytest's, the module's own and those of modules that it imports from."""
        sources = [self._modules[name] for name in module.origins if name in self._modules]
        reached = {each for source in sources for each in source.asserting}
        return _CHECKS | reached | {each for each in module.asserting if not each.startswith("test_")}


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def test_every_test_asserts_something():
    assert sorted(Suite(TESTS.parent).silent()) == []


@pytest.mark.parametrize(
    ("text", "silent"),
    [
        ("def test_it():\n    assert 1\n", False),
        ("def test_it():\n    f()\n", True),
        ("def f():\n    assert 1\ndef test_it():\n    f()\n", False),
        ("def test_it():\n    with pytest.raises(ValueError):\n        f()\n", False),
        ("from tests.kept import check\ndef test_it():\n    check(1)\n", False),
        ("from tests.kept import look\ndef test_it():\n    look(1)\n", True),
        ("from elsewhere import check\ndef test_it():\n    check(1)\n", True),
        ("def test_it(checked):\n    f()\n", True),
        ("def test_one():\n    assert 1\ndef test_it():\n    test_one\n", True),
    ],
)
def test_what_counts(tmp_path, text, silent):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/kept.py").write_text("def check(x):\n    assert x\ndef look(x):\n    return x\n")
    (tmp_path / "tests/conftest.py").write_text("def checked():\n    yield 1\n    assert 1\n")
    (tmp_path / "tests/test_it.py").write_text(text)
    assert ("tests.test_it::test_it" in Suite(tmp_path).silent()) == silent
