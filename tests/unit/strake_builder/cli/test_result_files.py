"""What a build writes about itself, and where."""

from __future__ import annotations

import argparse
import json
import os
import stat

import pytest

from strake_api.result import BuildSucceeded
from strake_builder.cli.result_files import add_result_flags, write_result_files
from strake_builder.errors import OutputError

DIGEST = "sha256:" + "a" * 64
RESULT = BuildSucceeded.model_validate(
    {
        "platform": "linux/amd64",
        "steps": {"total": 1, "run": 1},
        "durations": {"total": 1.0},
        "digest": DIGEST,
        "images": [f"r.example/a@{DIGEST}"],
        "configDigest": DIGEST,
        "layers": 1,
        "sizes": {"compressed": 1, "pushed": 1},
    }
)
DESTINATIONS = ("r.example/a:1", "r.example/a:2", "r.example/b")


def write(*words: str) -> None:
    parser = argparse.ArgumentParser()
    add_result_flags(parser)
    write_result_files(parser.parse_args(words), DESTINATIONS, RESULT, 0o027)


def test_each_file_has_its_form(tmp_path):
    names = ("digest", "image-name-with-digest", "image-name-tag-with-digest", "metadata")
    write(*(word for name in names for word in (f"--{name}-file", str(tmp_path / name))))
    assert (tmp_path / "digest").read_text() == DIGEST
    lines = (tmp_path / "image-name-with-digest").read_text().splitlines()
    assert lines == [f"r.example/a@{DIGEST}", f"r.example/b@{DIGEST}"]
    lines = (tmp_path / "image-name-tag-with-digest").read_text().splitlines()
    assert lines == [f"r.example/a:1@{DIGEST}", f"r.example/a:2@{DIGEST}", f"r.example/b:latest@{DIGEST}"]
    assert json.loads((tmp_path / "metadata").read_text())["digest"] == DIGEST
    assert stat.S_IMODE((tmp_path / "digest").stat().st_mode) == 0o640


def test_a_file_that_is_there_is_written_in_place(tmp_path):
    path = tmp_path / "termination-log"
    path.write_text("x" * 200)
    before = path.stat().st_ino
    write("--digest-file", str(path))
    assert (path.read_text(), path.stat().st_ino) == (DIGEST, before)


def test_a_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write("--digest-file", str(tmp_path / "pipe"))
        assert os.read(reader, 1000) == DIGEST.encode()
    finally:
        os.close(reader)


def test_a_path_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(OutputError, match="no/such/file: No such file"):
        write("--digest-file", str(tmp_path / "no/such/file"))
