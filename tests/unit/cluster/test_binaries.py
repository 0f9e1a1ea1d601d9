"""Which programs are compiled, and when."""

from __future__ import annotations

import pytest

from tests.cluster import binaries, requirements
from tests.cluster.binaries import COMPILATIONS, binaries_directory
from tests.cluster.requirements import MissingRequirementsError


def test_what_is_there_is_not_compiled_again(tmp_path):
    for compilation in COMPILATIONS:
        for package in compilation.packages:
            (tmp_path / package.rpartition("/")[2]).touch()
    assert [compilation.missing(tmp_path) for compilation in COMPILATIONS] == [[], [], []]


def test_what_enforces_policies_is_not_compiled_with_kubernetes(monkeypatch, tmp_path):
    monkeypatch.setattr(binaries, "CACHE", tmp_path)
    assert not binaries_directory().is_relative_to(binaries.policies_program().parent)
    assert binaries.policies_program().parent.name.startswith("policies-")
    assert not binaries.is_compiled()


def test_without_go_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(binaries, "CACHE", tmp_path)
    monkeypatch.setattr(requirements, "find_go", lambda: None)
    with pytest.raises(MissingRequirementsError, match=r"Go 1\.\S+ or later .*make setup"):
        binaries.binaries()


def test_the_cache_is_keyed_by_versions():
    assert binaries_directory() == binaries_directory()
    assert len(binaries_directory().name) == 12
