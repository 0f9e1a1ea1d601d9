"""The order of a step's mounts, and which of several at one target remains."""

from __future__ import annotations

import pytest

from strake_builder.rootfs.files.inside import Root
from strake_builder.sandbox.process import Bind, Tmpfs
from strake_builder.solve.steps.mounts import Prepared


def prepared(*targets: str) -> Prepared:
    found = Prepared()
    for number, target in enumerate(targets):
        found.add(Bind(f"/source/{number}", target), is_directory=True)
    found.arrange()
    return found


@pytest.mark.parametrize(
    ("targets", "order"),
    [
        (["/a/b", "/a"], ["/a", "/a/b"]),
        (["/a/b/c", "/a-b", "/a", "/a/b"], ["/a", "/a-b", "/a/b", "/a/b/c"]),
        (["/b", "/a"], ["/a", "/b"]),
    ],
)
def test_outer_targets_come_before_inner_ones(targets, order):
    found = prepared(*targets)
    assert [mount.target for mount in found.mounts] == order
    assert [point.target.decode() for point in found.points] == order


def test_the_last_of_several_at_one_target_remains():
    found = prepared("/a", "/b", "/a")
    assert found.mounts == [
        Bind("/source/2", "/a"),
        Bind("/source/1", "/b"),
    ]


def test_what_is_in_memory_has_the_mode_of_what_it_hides(tmp_path):
    for name, mode in {"a": 0o711, "t": 0o1777}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    (tmp_path / "a/b").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("/a")
    found = Prepared()
    for target in ("/a", "/a/b", "/t", "/link", "/new"):
        found.add(Tmpfs(target), is_directory=True)
    with Root(tmp_path) as root:
        found.take_modes(root)
    modes = {mount.target: mount.mode for mount in found.mounts if isinstance(mount, Tmpfs)}
    assert modes == {"/a": 0o711, "/a/b": 0o1777, "/t": 0o1777, "/link": 0o711, "/new": 0o1777}
