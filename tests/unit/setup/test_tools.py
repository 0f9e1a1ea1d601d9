"""A whole run has every program before it begins."""

from __future__ import annotations

import inspect
import re
from functools import partial
from pathlib import Path

from tests.fixtures.building import go_tools
from tests.oracles.go_oracle import HERE, ORACLES
from tests.setup.tools import tools

ROOT = Path(__file__).resolve().parents[3]


def test_every_program_of_the_tests_is_got_before_them():
    got = {get.func if isinstance(get, partial) else get for get in tools().values()}
    functions = {each for _, each in inspect.getmembers(go_tools, inspect.isfunction)}
    programs = {each for each in functions if each.__module__ == go_tools.__name__ and each.__doc__}
    assert programs - got == {go_tools.built}


def test_every_oracle_is_got_before_the_tests():
    assert set(ORACLES) == {each.parent.name for each in HERE.glob("*/go.mod")}


def test_tests_take_compiled_programs_from_one_list():
    files = [*(ROOT / "tests").rglob("*.py")]
    calls = re.compile(r"\bgo_tools\.built\(|import built\b")
    assert [str(each) for each in files if each != Path(__file__) and calls.search(each.read_text())] == []
