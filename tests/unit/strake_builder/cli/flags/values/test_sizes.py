"""Sizes are read from the command line and the environment."""

from __future__ import annotations

import argparse

import pytest

from strake_builder.cli.flags.values.sizes import (
    MAX_UNPACKED_DEFAULT,
    MAX_UNPACKED_VARIABLE,
    add_max_unpacked_flag,
    read_max_unpacked,
    read_size,
)
from strake_builder.errors import InvalidRequestError
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED


def read(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    add_max_unpacked_flag(parser)
    return read_max_unpacked(parser.parse_args(flags))


def test_the_default_is_that_of_the_library(monkeypatch):
    monkeypatch.delenv(MAX_UNPACKED_VARIABLE, raising=False)
    assert read() == read_size(MAX_UNPACKED_DEFAULT, "") == MAX_UNPACKED


def test_the_flag_counts_before_the_variable(monkeypatch):
    monkeypatch.setenv(MAX_UNPACKED_VARIABLE, "5MiB")
    assert read() == 5 << 20
    assert read("--max-unpacked-size", "7GB") == 7_000_000_000


@pytest.mark.parametrize(("text", "words"), [("much", "is no size"), ("0", "leaves no room")])
def test_what_is_no_ceiling_is_refused(monkeypatch, text, words):
    with pytest.raises(InvalidRequestError, match=f"--max-unpacked-size '{text}' {words}"):
        read("--max-unpacked-size", text)
    monkeypatch.setenv(MAX_UNPACKED_VARIABLE, text)
    with pytest.raises(InvalidRequestError, match=f"{MAX_UNPACKED_VARIABLE} '{text}' {words}"):
        read()
