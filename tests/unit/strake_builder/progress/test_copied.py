"""A log and its copy: what people saw is in the copy, whenever the process is killed."""

from __future__ import annotations

import io
import socket

import pytest

from strake_builder.progress.copied import CopiedStream


@pytest.fixture
def reader(tmp_path):
    """What listens for copies, and where."""
    path = tmp_path / "log.socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield listening, str(path)


class Killed(io.StringIO):
    """A stream at whose first write the process is killed."""

    def write(self, text):
        raise KeyboardInterrupt


def test_a_text_is_copied_before_anybody_sees_it(reader):
    listening, path = reader
    copied = CopiedStream(Killed(), path)
    taken, _ = listening.accept()
    with taken:
        with pytest.raises(KeyboardInterrupt):
            copied.write("#1 | going\n")
        assert taken.recv(100) == b"#1 | going\n"
    copied.finish()


def test_without_a_reader_the_stream_has_it_all(reader):
    listening, path = reader
    shown = io.StringIO()
    copied = CopiedStream(shown, path)
    listening.accept()[0].close()
    written = [copied.write(text) for text in ("one\n", "two\n", "three\n")]
    assert (shown.getvalue(), written) == ("one\ntwo\nthree\n", [4, 4, 6])
