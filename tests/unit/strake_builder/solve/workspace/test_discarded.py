import os
import subprocess
import time

import pytest

from strake_builder.solve.workspace.discarded import Discarded


@pytest.fixture
def discarded():
    directories = Discarded()
    yield directories
    directories.close()


def gone(path):
    deadline = time.monotonic() + 180
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # another program removes it
    return not path.exists()


def test_many_entries_are_removed_at_once(tmp_path, discarded):
    for name in ("one", "-rf", "with a\nline"):
        (tmp_path / name / "deep").mkdir(parents=True)
        discarded.add(os.fsencode(tmp_path / name), 1000)
    assert gone(tmp_path / "one")
    assert gone(tmp_path / "-rf")
    assert (tmp_path / "with a\nline").exists(), "too few for another program"


def test_a_link_is_not_followed(tmp_path, discarded):
    (tmp_path / "kept").mkdir()
    (tmp_path / "read").mkdir()
    (tmp_path / "read/link").symlink_to(tmp_path / "kept")
    discarded.add(os.fsencode(tmp_path / "read"), 2000)
    assert gone(tmp_path / "read")
    assert (tmp_path / "kept").exists()


def test_a_path_that_no_program_takes_is_left(discarded, tmp_path):
    deep = b"/".join([os.fsencode(tmp_path), *[b"d" * 200] * 12])
    discarded.add(deep, 9000)
    (tmp_path / "next").mkdir()
    discarded.add(os.fsencode(tmp_path / "next"), 2000)
    assert gone(tmp_path / "next")


def test_many_directories_of_few_entries_are_removed_too(tmp_path, discarded):
    for number in range(300):
        (tmp_path / str(number)).mkdir()
        discarded.add(os.fsencode(tmp_path / str(number)), 1)
    assert all(gone(tmp_path / str(number)) for number in range(200))


def test_closing_ends_the_program(tmp_path):
    directories = Discarded()
    (tmp_path / "read").mkdir()
    directories.add(os.fsencode(tmp_path / "read"), 2000)
    directories.close()
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "comm="], capture_output=True, text=True
    )
    assert "rm" not in children.stdout.split()
