"""A file appears when it is whole, with its owner's permissions, and not at all otherwise."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from strake_builder.errors import OutputError
from strake_builder.output.new_file import new_file


def test_it_appears_at_the_end(tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(b"old")
    with new_file(str(path), 0o027) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["image.tar"]


def test_what_breaks_off_leaves_what_was_there(tmp_path):
    path = tmp_path / "image.tar"
    path.write_bytes(b"old")

    def break_off() -> None:
        with new_file(str(path), 0o022) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["image.tar"]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "other").write_bytes(b"precious")
    (tmp_path / "image.tar").symlink_to("other")
    with new_file(str(tmp_path / "image.tar"), 0o022) as file:
        file.write(b"new")
    assert (tmp_path / "other").read_bytes() == b"precious"
    assert not (tmp_path / "image.tar").is_symlink()


def test_a_pipe_gets_it_as_it_comes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with new_file(str(tmp_path / "pipe"), 0o022) as file:
        file.write(b"streamed")
    reader.join()
    assert got == [b"streamed"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("where", ["no/such/image.tar", "."])
def test_a_path_that_takes_no_file_is_reported(tmp_path, where):
    with pytest.raises(OutputError, match="cannot write"), new_file(str(tmp_path / where), 0o022):
        pass
