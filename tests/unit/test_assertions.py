"""Every test asserts something: itself, or in what it calls of the tests' own. What a fixture asserts for every test does not count.

A test that only calls is green whatever it gets. Where that nothing is raised is all there is to see, the test looks at
something afterwards that would be otherwise.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
_CHECKS = frozenset({"raises", "warns", "fail"})


class _Module:
    """A file of the tests: its functions and methods, and the modules that its other names are from."""

    def __init__(self, path: Path, root: Path) -> None:
        tree = ast.parse(path.read_bytes())
        self.name = ".".join(path.relative_to(root).with_suffix("").parts)
        self.functions = [
            each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        froms = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
        self.origins = {str(each.module) for each in froms}
        conftests = [
            folder / "conftest.py" for folder in path.parents if folder.is_relative_to(root / "tests")
        ]
        self.conftests = [".".join(each.relative_to(root).with_suffix("").parts) for each in conftests]


class Suite:
    """The functions of a tree of tests, and which of them assert something."""

    def __init__(self, root: Path) -> None:
        files = sorted((root / "tests").rglob("*.py"))
        self._modules = {module.name: module for module in (_Module(path, root) for path in files)}
        self._asserting: dict[str, set[str]] = {name: set() for name in self._modules}
        while self._learns():
            pass

    def silent(self) -> Iterator[str]:
        """Yield each test that asserts nothing, with its module."""
        for module in self._modules.values():
            if module.name.rpartition(".")[2].startswith("test_"):
                for each in module.functions:
                    if each.name.startswith("test_") and each.name not in self._asserting[module.name]:
                        yield f"{module.name}::{each.name}"

    def _learns(self) -> bool:
        before = sum(map(len, self._asserting.values()))
        for module in self._modules.values():
            visible = self._visible(module)
            self._asserting[module.name] |= {
                each.name for each in module.functions if _asserts(each, visible)
            }
        return sum(map(len, self._asserting.values())) > before

    def _visible(self, module: _Module) -> set[str]:
        """Return the functions that assert, of this module and of those that it imports from."""
        reached = {each for name in module.origins for each in self._asserting.get(name, ())}
        own = {each for each in self._asserting[module.name] if not each.startswith("test_")}
        return reached | own


def _asserts(function: ast.FunctionDef | ast.AsyncFunctionDef, visible: set[str]) -> bool:
    used = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            used.add(name)
            if name in _CHECKS:
                return True
    return bool(used & visible)


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
