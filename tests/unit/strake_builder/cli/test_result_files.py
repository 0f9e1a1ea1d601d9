"""What a build writes about itself, and where."""

from __future__ import annotations

import argparse
import json
import os
import stat

import pytest

from strake_api.result import BuildSucceeded
from strake_builder.cli.result_files import add_result_flags, write_result_files
from strake_builder.errors import InvalidRequestError, OutputError

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


def test_a_directory_that_is_missing_is_made_for_its_owner_alone(tmp_path):
    """As kaniko makes it: its image has no /tmp, where pipelines have the digest written to."""
    write("--digest-file", str(tmp_path / "no/such/file"))
    assert (tmp_path / "no/such/file").read_text() == DIGEST
    assert stat.S_IMODE((tmp_path / "no/such").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "no").stat().st_mode) & 0o022 == 0


def test_what_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file/digest: "):
        write("--digest-file", str(tmp_path / "file/digest"))


@pytest.mark.parametrize("url", ["http://r.example/digest?sig=hidden", "https:///digest", "https://"])
def test_a_url_that_takes_no_digest_is_refused(url):
    with pytest.raises(InvalidRequestError, match="cannot send a digest") as refused:
        write("--digest-file", url)
    assert "hidden" not in refused.value.message
