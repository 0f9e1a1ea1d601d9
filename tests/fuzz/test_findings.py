"""What fuzzing has found stays found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import dockerfile
from tests.fuzz.invariants import check

FINDINGS = sorted((Path(__file__).parent / "findings").glob("*.txt"))


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_finding_does_not_come_back(path):
    check(path.read_bytes().decode(errors="surrogateescape"))


def test_a_short_run_finds_nothing(capsys):
    assert dockerfile.main(["--seconds", "3", "--seed", "1"]) == 0
    assert "nothing found" in capsys.readouterr().out
