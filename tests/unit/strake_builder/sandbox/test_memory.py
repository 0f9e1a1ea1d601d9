"""The kernel's files in both of their forms."""

import pytest

from strake_builder.sandbox.memory import Group, Memory, look_at_memory


def group(path, events="", limit="", peak=""):
    """Write what a control group's files have; "" leaves a file out."""
    found = Group(path / "events", path / "limit", path / "peak")
    for file, text in zip(found, (events, limit, peak), strict=True):
        if text:
            file.write_text(text)
    return found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n", 2),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", 7),
        ("oom 3\n", None),
        ("oom_kill many\n", None),
        ("", None),
    ],
)
def test_the_count_is_found(tmp_path, text, count):
    missing = Group(*(tmp_path / "missing" for _ in Group._fields))
    assert look_at_memory((missing, group(tmp_path, text))).kills == count


@pytest.mark.parametrize(
    ("limit", "peak", "expected"),
    [
        ("268435456\n", "268431360\n", (268435456, 268431360)),
        ("max\n", "4096\n", (None, 4096)),
        ("9223372036854771712\n", "4096\n", (None, 4096)),
        ("268435456\n", "", (268435456, None)),
        ("", "", (None, None)),
    ],
    ids=["both", "no limit", "no limit, version 1", "an old kernel", "nothing"],
)
def test_limit_and_peak_are_found_where_they_are_known(tmp_path, limit, peak, expected):
    found = look_at_memory((group(tmp_path, "oom_kill 1\n", limit, peak),))
    assert (found.limit, found.peak) == expected


def test_nothing_to_read_is_none():
    assert look_at_memory(()) == Memory()


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (Memory(1, 256 << 20, 256 << 20), "the container used 256Mi and its limit is 256Mi"),
        (Memory(1, None, 3 << 29), "the container used 1.5Gi"),
        (Memory(1, 1000, None), "its limit is 1000"),
        (Memory(1), ""),
    ],
)
def test_what_a_person_reads(memory, words):
    assert memory.words == words


def test_kills_are_counted_from_an_earlier_look():
    assert Memory(5).killed_since(Memory(3)) == 2
    assert Memory(5).killed_since(Memory()) is None
