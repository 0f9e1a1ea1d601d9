"""The kernel's counter in both of its forms."""

import pytest

from strake_builder.sandbox.memory import oom_kills


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n", 2),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", 7),
        ("oom 3\n", 0),
        ("oom_kill many\n", 0),
        ("", 0),
    ],
)
def test_the_count_is_found(tmp_path, text, count):
    (tmp_path / "events").write_text(text)
    assert oom_kills((tmp_path / "missing", tmp_path / "events")) == count


def test_nothing_to_read_is_none():
    assert oom_kills(()) == 0
