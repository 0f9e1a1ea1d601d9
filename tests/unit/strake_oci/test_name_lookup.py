"""Names, while a step's /etc is where the builder's own was."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from strake_oci.name_lookup import NameLookup


def address(text: str) -> Any:
    return [(2, 1, 6, "", (text, 80))]


class Files:
    """What /etc has at the moment."""

    def __init__(self) -> None:
        self.known = {"registry.example": "10.0.0.1"}
        self.asked = 0

    def ask(self, host: str, port: int | None) -> Any:
        self.asked += 1
        if host not in self.known:
            raise OSError("the name does not resolve")
        return address(self.known[host])


@pytest.fixture
def files():
    return Files()


def test_a_name_is_asked_for_each_time(files):
    names = NameLookup(files.ask)
    assert names.find("registry.example", 80) == address("10.0.0.1")
    files.known["registry.example"] = "10.0.0.2"
    assert names.find("registry.example", 80) == address("10.0.0.2")
    with pytest.raises(OSError, match="does not resolve"):
        names.find("other.example")


def test_a_step_does_not_tell_where_a_registry_is(files):
    names = NameLookup(files.ask)
    names.find("registry.example", 80)
    with names.foreign_files():
        files.known["registry.example"] = "6.6.6.6"
        assert names.find("registry.example", 80) == address("10.0.0.1")
        files.known.clear()
        assert names.find("registry.example", 80) == address("10.0.0.1")
    assert files.asked == 1


def test_a_new_name_waits_until_the_step_has_ended(files):
    names = NameLookup(files.ask)
    with ThreadPoolExecutor(1) as pool:
        with names.foreign_files():
            with names.foreign_files():
                files.known["registry.example"] = "6.6.6.6"
                found = pool.submit(names.find, "registry.example")
            assert names.waits
            files.known["registry.example"] = "10.0.0.1"
        assert found.result(180) == address("10.0.0.1")
    assert not names.waits


@pytest.mark.parametrize("answer", ["6.6.6.6", None])
def test_what_was_asked_when_a_step_began_is_asked_again(answer):
    """The files may have changed between two reads of them."""
    begun, told = threading.Event(), threading.Event()
    answers = [answer, "10.0.0.1"]

    def ask(host: str, port: int | None) -> Any:
        begun.set()
        assert told.wait(180)
        if (found := answers.pop(0)) is None:
            raise OSError("the name does not resolve")
        return address(found)

    names = NameLookup(ask)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(names.find, "registry.example")
        assert begun.wait(180)
        with names.foreign_files():
            told.set()
        assert found.result(180) == address("10.0.0.1")
