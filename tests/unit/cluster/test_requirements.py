"""What a machine lacks is reported in one sentence."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.cluster import requirements
from tests.cluster.requirements import MissingRequirementsError, check_requirements, find_go
from tests.setup import programs
from tests.setup.programs import missing_packages


def test_missing_packages_are_named_and_the_remedy_too(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(programs, "TOOLS", {"no-such-tool": "pretend-tools", "sh": "dash"})
    monkeypatch.setattr(programs, "FILES", {Path("/no/such/file"): "pretend-dev"})
    assert missing_packages() == ["pretend-dev", "pretend-tools"]
    with pytest.raises(MissingRequirementsError, match=r"pretend-dev pretend-tools .*make setup"):
        check_requirements()


def test_root_is_asked_for(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingRequirementsError, match="needs root"):
        check_requirements()


@pytest.mark.parametrize(("version", "good"), [("go1.20.1", False), ("go99.0", True)])
def test_an_old_go_is_no_go(monkeypatch, tmp_path, version, good):
    program = tmp_path / "go"
    program.write_text(f"#!{sys.executable}\nprint({version!r})\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(requirements, "BUNDLED_GO", tmp_path / "none")
    assert (find_go() is not None) == good
