"""What a walk through an upper directory tells: which directories may go because it has read them."""

import os

import pytest

from strake_builder.rootfs.diff.changes import overlay_changes, tar_stream


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
