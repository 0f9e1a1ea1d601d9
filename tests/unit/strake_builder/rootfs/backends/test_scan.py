"""The backend without mounts: when roots are copied, taken over and shared, and what a look can miss."""

from __future__ import annotations

import functools
import os
import threading

import pytest

from strake_builder.errors import StepError
from strake_builder.rootfs.backends.scan import Scan
from strake_builder.rootfs.diff.tree_state import await_later_times, record_tree
from strake_builder.rootfs.files.remove import remove_tree
from tests.fixtures.content.snapshots import make_layer


@pytest.fixture
def scan(tmp_path):
    (tmp_path / "work").mkdir()
    scan = Scan(str(tmp_path / "work"))
    yield scan
    scan.close()


def run_step(scan, layers, name, act=lambda root: None) -> tuple[str, str]:
    """Run a step; return the layer it made and the root it ran in."""
    with scan.mounted(layers, name) as snapshot:
        act(snapshot.root)
    return snapshot.upper, snapshot.root


def looks_of(tree: str) -> dict[str, tuple[int, ...]]:
    """Return what stat and attributes show of everything in a tree, but for when it was read."""
    paths = [tree, *(os.path.join(where, n) for where, ds, fs in os.walk(tree) for n in (*ds, *fs))]
    found = {path: os.lstat(path) for path in paths}
    return {
        path: (s.st_ino, s.st_mode, s.st_uid, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
        for path, s in found.items()
    }


def touch(path: str) -> None:
    with open(path, "w"):
        pass


def test_the_next_step_takes_the_root_over(scan, tmp_path):
    layers = [str(make_layer(tmp_path / "base", f="1"))]
    inode, roots = None, set()
    for number in range(4):
        upper, root = run_step(scan, layers, f"s{number}", lambda root, n=number: touch(f"{root}/new{n}"))
        assert os.listdir(upper) == [f"new{number}"]
        roots.add(root)
        assert inode in {None, os.stat(f"{root}/f").st_ino}
        inode = os.stat(f"{root}/f").st_ino
        layers.append(upper)
    assert len(roots) == 1


def test_over_nothing_the_root_is_the_layer(scan):
    upper, root = run_step(scan, [], "s", lambda root: touch(f"{root}/x"))
    assert upper == root
    second, other = run_step(scan, [upper], "t", lambda root: touch(f"{root}/y"))
    assert other != upper
    assert (os.listdir(upper), os.listdir(second)) == (["x"], ["y"])


def test_over_nothing_too_no_device_poses_as_a_whiteout(scan):
    def act(root):
        os.makedirs(f"{root}/a/b")
        os.mknod(f"{root}/a/c", 0o020000, 0)

    with pytest.raises(StepError, match="made /a/c, a character device 0:0"):
        run_step(scan, [], "s", act)


def test_what_nothing_else_reads_stays_in_its_root(scan, tmp_path):
    base = str(make_layer(tmp_path / "base", f="1", d__gone="2"))

    def act(root: str) -> None:
        os.makedirs(f"{root}/d/e")
        for name in ("d/e/new", "f", "one"):
            touch(f"{root}/{name}")
        os.link(f"{root}/one", f"{root}/two")
        os.symlink("f", f"{root}/link")
        os.unlink(f"{root}/d/gone")

    with scan.mounted([base], "s", is_read=False) as snapshot:
        act(snapshot.root)
    assert sorted(os.listdir(snapshot.upper)) == ["d", "link", "one", "two"]
    assert os.listdir(f"{snapshot.upper}/d/e") == []
    paths = [entry.path for entry, _ in snapshot.changes()]
    assert paths == [b"d", b"d/e", b"d/e/new", b"d/.wh.gone", b"f", b"link", b"one", b"two"]
    with scan.mounted([base], "t") as other:
        assert other.root != snapshot.root, "it is not taken over"


def test_two_chains_from_one_base_each_get_their_own(scan, tmp_path):
    base = str(make_layer(tmp_path / "base", f="1"))
    first, root = run_step(scan, [base], "s", lambda root: touch(f"{root}/first"))
    left, left_root = run_step(scan, [base, first], "l", lambda root: touch(f"{root}/left"))
    right, right_root = run_step(scan, [base, first], "r", lambda root: touch(f"{root}/right"))
    assert left_root == root
    assert sorted(os.listdir(right_root)) == ["f", "first", "right"]
    assert (os.listdir(left), os.listdir(right)) == (["left"], ["right"])


def test_layers_that_a_root_lacks_are_added_to_it(scan, tmp_path):
    base = str(make_layer(tmp_path / "base", f="1", d__gone="1"))
    linked = make_layer(tmp_path / "linked", d__new="2")
    os.mknod(linked / "d/gone", 0o020000, 0)
    first, root = run_step(scan, [base], "one")
    upper, second = run_step(scan, [base, first, str(linked)], "two", lambda root: touch(f"{root}/x"))
    assert second == root
    assert os.listdir(upper) == ["x"]
    assert sorted(os.listdir(f"{root}/d")) == ["new"]


def test_readers_share_a_root_that_no_step_takes_over(scan, tmp_path):
    base = str(make_layer(tmp_path / "base", f="1"))
    upper, root = run_step(scan, [base], "s", lambda root: touch(f"{root}/x"))
    with scan.view([base, upper], "v1") as one, scan.view([base, upper], "v2") as other:
        assert one == other == root
        _, own = run_step(scan, [base, upper], "t", lambda root: os.unlink(f"{root}/x"))
        assert own != root
        assert sorted(os.listdir(one)) == ["f", "x"]
    _, taken = run_step(scan, [base, upper], "u")
    assert taken == root


def test_a_failed_step_leaves_no_root_and_no_claim(scan, tmp_path):
    base = str(make_layer(tmp_path / "base", f="1"))

    def fail(root):
        os.unlink(f"{root}/f")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_step(scan, [base], "bad", fail)
    _, root = run_step(scan, [base], "good")
    assert os.listdir(root) == ["f"]
    assert not os.path.exists(tmp_path / "work/bad/root")


def test_layers_are_never_written_to(scan, tmp_path):
    base = make_layer(tmp_path / "base", f="1", d__g="1")

    def act(root):
        with open(f"{root}/f", "a") as file:
            file.write("more")
        os.chmod(f"{root}/d/g", 0o600)

    before = looks_of(str(base))
    upper, _ = run_step(scan, [str(base)], "s", act)
    first = looks_of(upper)
    run_step(scan, [str(base), upper], "t", act)
    with scan.scratch(str(base), "scratch") as root:
        act(root)
    assert looks_of(str(base)) == before
    assert looks_of(upper) == first


def test_a_change_within_the_kernels_tick_is_seen(scan, tmp_path):
    """Same size, same time of modification, changed as soon as the root is there, again and again."""
    layers = [str(make_layer(tmp_path / "base", f="0"))]
    os.utime(tmp_path / "base/f", (5, 5))
    for number in range(1, 30):

        def act(root, number=number):
            with record_tree(root, str(tmp_path)) as state:
                newest = state.record.newest
            with open(f"{root}/f", "r+") as file:
                file.write(str(number % 10))
            os.utime(f"{root}/f", (5, 5))
            assert os.stat(f"{root}/f").st_ctime_ns > newest

        upper, _ = run_step(scan, layers, f"s{number}", act)
        with open(f"{upper}/f") as file:
            assert file.read() == str(number % 10)
        layers.append(upper)


def test_waiting_ends_when_the_clock_has_moved_on(tmp_path):
    touch(str(tmp_path / "f"))
    newest = os.stat(tmp_path / "f").st_ctime_ns
    await_later_times(str(tmp_path), newest)
    touch(str(tmp_path / "g"))
    assert os.stat(tmp_path / "g").st_ctime_ns > newest
    assert not (tmp_path / "clock").exists()


def test_a_clock_that_was_set_back_is_not_waited_for_long(tmp_path):
    slept: list[float] = []
    await_later_times(str(tmp_path), 1 << 62, slept.append)
    assert 2 < sum(slept) < 4


def test_one_file_among_many_directories(scan, tmp_path):
    base = make_layer(tmp_path / "base", top="1")
    for number in range(300):
        (base / f"d{number % 20}" / f"e{number}").mkdir(parents=True)
        (base / f"d{number % 20}" / f"e{number}" / "f").touch()

    def act(root):
        os.unlink(f"{root}/d7/e7/f")

    upper, _ = run_step(scan, [str(base)], "s", act)
    found = [os.path.join(where, name) for where, _, names in os.walk(upper) for name in names]
    assert found == [f"{upper}/d7/e7/f"]


def test_a_tree_deeper_than_any_path(scan, tmp_path):
    """What unpacking takes is not refused here, and needs few descriptors."""
    base = tmp_path / "base"
    base.mkdir()
    here = os.open(base, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("dd", dir_fd=here)
        below = os.open("dd", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("f", os.O_CREAT, dir_fd=here))
    os.close(here)
    before = len(os.listdir("/proc/self/fd"))
    try:
        upper, _ = run_step(scan, [str(base)], "s", lambda root: touch(f"{root}/x"))
        assert os.listdir(upper) == ["x"]
        assert len(os.listdir("/proc/self/fd")) == before + 1, "the record of the root"
    finally:
        remove_tree(str(base))  # pytest cannot
        remove_tree(str(tmp_path / "work"))


def touch_in(name: str, root: str) -> None:
    touch(f"{root}/{name}")


def test_steps_of_several_stages_at_the_same_time(scan, tmp_path):
    base = str(make_layer(tmp_path / "base", f="1"))
    first, _ = run_step(scan, [base], "first")
    uppers = {}

    def chain(name: str) -> None:
        layers = [base, first]
        for number in range(5):
            act = functools.partial(touch_in, f"{name}{number}")
            layers.append(run_step(scan, layers, f"{name}{number}", act)[0])
        uppers[name] = [os.listdir(upper) for upper in layers[2:]]

    threads = [threading.Thread(target=chain, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert uppers == {name: [[f"{name}{n}"] for n in range(5)] for name in "abc"}
