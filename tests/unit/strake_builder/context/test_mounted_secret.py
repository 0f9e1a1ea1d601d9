"""Keys of a mounted Secret: no error shows what is in one."""

from __future__ import annotations

import traceback

import pytest

from strake_builder.context.mounted_secret import secret_text
from strake_builder.errors import InvalidRequestError


def test_a_key_is_read_and_one_that_is_missing_is_empty(tmp_path):
    (tmp_path / "password").write_text("pässword\n")
    assert secret_text(str(tmp_path), "password", "source.git") == "pässword\n"
    assert secret_text(str(tmp_path), "password", "source.git", 2) == "pä"
    assert secret_text(str(tmp_path), "username", "source.git") == ""


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"pass\xffword"), lambda path: path.mkdir()])
def test_one_that_cannot_be_read_is_named_and_not_shown(tmp_path, make):
    make(tmp_path / "password")
    with pytest.raises(
        InvalidRequestError, match=r"cannot read password of the Secret of source\.git: "
    ) as found:
        secret_text(str(tmp_path), "password", "source.git")
    shown = "".join(traceback.format_exception(found.value))
    assert "word\\" not in shown
    assert "0xff" not in shown
