"""What a person reads where the system refused, and where Strake itself is wrong."""

from __future__ import annotations

import errno
import os
from typing import cast

import pytest

from strake_builder.errors import InternalError, OutOfDiskError, OutOfMemoryError, StepError, UnsupportedError
from strake_builder.frontend import parse
from strake_builder.unforeseen import DEBUG, from_os_error, internal_error


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (errno.ENOSPC, OutOfDiskError, "ephemeral storage"),
        (errno.EDQUOT, OutOfDiskError, "ephemeral storage"),
        (errno.EMFILE, UnsupportedError, "open files"),
        (errno.ENFILE, UnsupportedError, "open files"),
        (errno.EIO, UnsupportedError, "disk fails"),
        (errno.EROFS, UnsupportedError, "--work-dir"),
        (errno.ENOMEM, OutOfMemoryError, "memory"),
        (errno.ELOOP, InternalError, ""),
    ],
)
def test_a_refusal_of_the_system(number, kind, hint):
    error = from_os_error(OSError(number, os.strerror(number), "/w/x"), "cannot unpack the layer 1")
    assert type(error) is kind
    assert error.message.startswith("cannot unpack the layer 1: ")
    assert hint in error.hint
    assert (kind is OutOfDiskError) == ("full" in error.message)


def test_what_is_no_resource_is_what_the_caller_says():
    error = from_os_error(OSError(errno.EISDIR, "Is a directory", b"/a"), "COPY failed", StepError)
    assert type(error) is StepError
    assert error.message == "COPY failed: Is a directory: /a"


def raised() -> InternalError:
    try:
        parse(cast("str", None))
    except Exception as error:  # noqa: BLE001 - any will do
        return internal_error(error)
    raise AssertionError


def test_a_defect_is_one_line_with_where_it_is(capsys, monkeypatch):
    monkeypatch.delenv(DEBUG, raising=False)
    error = raised()
    assert "(strake_builder/frontend/" in error.message
    assert "\n" not in error.message
    assert "report" in error.hint
    assert capsys.readouterr().err == ""


def test_a_traceback_is_printed_on_request(capsys, monkeypatch):
    monkeypatch.setenv(DEBUG, "1")
    raised()
    assert "Traceback" in capsys.readouterr().err
