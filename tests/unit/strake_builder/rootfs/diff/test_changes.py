"""What a walk through an upper directory tells: which directories may go because it has read them."""

import itertools
import os

import pytest

from strake_builder.errors import StepError
from strake_builder.rootfs.diff.change import NO_CONTENT
from strake_builder.rootfs.diff.changes import overlay_changes
from strake_builder.rootfs.diff.layer_stream import tar_stream


@pytest.fixture
def upper(tmp_path):
    directory = tmp_path / "upper"
    (directory / "a/inner").mkdir(parents=True)
    (directory / "b").mkdir()
    for name in ("a/inner/1", "a/inner/2", "a/3", "b/4", "5"):
        (directory / name).write_text(name)
    return directory


def passed(upper):
    """Return what was passed, as (path, names), and what had been yielded by then."""
    found: list[tuple[bytes, int, int]] = []
    yielded: list[bytes] = []
    changes = overlay_changes(
        str(upper), (), passed=lambda path, names: found.append((path, names, len(yielded)))
    )
    for entry, _ in changes:
        yielded.append(entry.path)
    return [(os.path.relpath(os.fsdecode(path), upper), names, yielded[at - 1]) for path, names, at in found]


def test_a_directory_is_passed_after_the_last_in_it(upper):
    assert passed(upper) == [("a/inner", 2, b"a/inner/2"), ("a", 2, b"a/inner/2"), ("b", 1, b"b/4")]


def test_one_with_a_file_of_several_names_is_not(upper):
    os.link(upper / "a/inner/1", upper / "b/linked")
    assert passed(upper) == []
    whole = list(overlay_changes(str(upper), ()))
    assert next(entry for entry, _ in whole if entry.path == b"b/linked").target == b"a/inner/1"


def test_the_stream_is_the_same_whatever_becomes_of_what_was_passed(upper):
    def remove(path, _):
        for name in os.listdir(path):
            os.unlink(path + b"/" + name)
        os.rmdir(path)

    whole = b"".join(tar_stream(overlay_changes(str(upper), ())))
    assert b"".join(tar_stream(overlay_changes(str(upper), (), passed=remove))) == whole
    assert os.listdir(upper) == ["5"]


def make_deep(upper, length):
    """Make a file whose path in the upper directory has a length, and return that path."""
    path = b"/".join([b"d" * 250] * 16)
    path += b"/" + b"f" * (length - len(path) - 1)
    fd = os.open(upper, os.O_RDONLY)
    *directories, name = path.split(b"/")
    for each in directories:
        os.mkdir(each, dir_fd=fd)
        inner = os.open(each, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    file = os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.write(file, b"content")
    os.close(file)
    os.close(fd)
    return path


def test_the_longest_path_that_the_kernel_opens_is_in_the_layer(upper):
    longest = make_deep(upper, 4094)
    found = {
        entry.path: os.pread(fd, 99, 0) for entry, fd in overlay_changes(str(upper), ()) if fd != NO_CONTENT
    }
    assert found[longest] == b"content"
    assert found[b"b/4"] == b"b/4", "the walk finds its way back"


def test_a_longer_path_is_refused(upper):
    make_deep(upper, 4095)
    with pytest.raises(StepError, match=r"path of 4,095 bytes is longer than the 4,094 that Linux opens"):
        list(overlay_changes(str(upper), ()))


@pytest.mark.parametrize("taken", range(9))
def test_a_walk_that_is_left_keeps_nothing_open(upper, taken):
    before = os.listdir("/proc/self/fd")
    walk = overlay_changes(str(upper), ())
    read = [os.pread(fd, 99, 0) for _, fd in itertools.islice(walk, taken) if fd != NO_CONTENT]
    assert read == [b"5", b"a/3", b"a/inner/1", b"a/inner/2", b"b/4"][: len(read)]
    del walk
    assert os.listdir("/proc/self/fd") == before
