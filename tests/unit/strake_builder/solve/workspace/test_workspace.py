"""A build's work directory comes, goes, and is tidied up after who could not do it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strake_builder.errors import (
    InvalidRequestError,
    UnsupportedError,
)
from strake_builder.rootfs.mounts import syscalls
from strake_builder.rootfs.mounts.memory_directory import file_system_type, make_shared_memory
from strake_builder.solve.workspace import workspace
from strake_builder.solve.workspace.workspace import Workspace
from tests.fixtures.building.isolated import isolated


def test_it_is_gone_afterwards(tmp_path):
    with Workspace(str(tmp_path / "new/parent")) as workspace:
        path = workspace.path
        os.makedirs(os.path.join(workspace.directory("d"), "a/b"))
        assert os.path.isdir(path)
        assert os.stat(path).st_mode & 0o777 == 0o700, "images have set-uid programs"
    assert not os.path.exists(path)


def test_it_is_gone_after_an_error_too(tmp_path):
    with pytest.raises(RuntimeError), Workspace(str(tmp_path)):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_where_root_file_systems_cannot_be_made(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise UnsupportedError("no overlay here")

    monkeypatch.setattr(workspace, "open_snapshotter", refuse)
    with pytest.raises(UnsupportedError):
        Workspace(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_one_is_removed_and_one_in_use_is_not(tmp_path):
    def abandon() -> str:
        return Workspace(str(tmp_path)).path  # its lock ends with this process

    abandoned = isolated(abandon)
    assert os.path.isdir(abandoned)
    (tmp_path / "strake-build-not-one").mkdir()
    with Workspace(str(tmp_path)) as one:
        assert not os.path.exists(abandoned)
        with Workspace(str(tmp_path)) as other:
            assert os.path.isdir(one.path)
            assert one.path != other.path
    assert [p.name for p in tmp_path.iterdir()] == ["strake-build-not-one"]


@pytest.mark.parametrize("left", ["the lock alone", "the lock and an empty directory", "the lock and all"])
def test_one_whose_making_or_removing_was_cut_short_is_removed(tmp_path, left):
    (tmp_path / "strake-build-x.lock").write_text("")
    if left != "the lock alone":
        (tmp_path / "strake-build-x").mkdir()
    if left == "the lock and all":
        (tmp_path / "strake-build-x/file").write_text("x")
    with Workspace(str(tmp_path)):
        assert not (tmp_path / "strake-build-x").exists()
        assert not (tmp_path / "strake-build-x.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_many_that_begin_and_end_at_once_leave_nothing_and_lose_nothing(tmp_path):
    def one(number: int) -> bool:
        with Workspace(str(tmp_path)) as workspace:
            file = Path(workspace.directory("d"), "file")
            file.write_text(str(number))
            return file.read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(100)))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidRequestError, match="work directory"):
        Workspace(str(tmp_path / "file/inside"))


def test_secrets_lie_in_memory(tmp_path):
    def work() -> tuple[bool, int]:
        with Workspace(str(tmp_path)) as workspace:
            path = workspace.memory_directory()
            assert workspace.memory_directory() == path
            return os.path.ismount(path), os.stat(path).st_mode & 0o777

    assert isolated(work) == (True, 0o700)
    assert list(tmp_path.iterdir()) == []


def test_without_mounts_secrets_lie_in_shared_memory(tmp_path):
    def work() -> tuple[bool, int, bool, bool]:
        before = Path("/proc/self/mountinfo").read_text()
        with Workspace(str(tmp_path), rootfs="scan") as workspace:
            path = workspace.memory_directory()
            assert workspace.memory_directory() == path
            with workspace.roots.mounted((), "root"), workspace.roots.view((), "view"):
                mounts = Path("/proc/self/mountinfo").read_text() != before
            found = path.startswith("/dev/shm/"), os.stat(path).st_mode & 0o777, mounts
        return *found, os.path.exists(path)

    assert isolated(work) == (True, 0o700, False, False)
    assert list(tmp_path.iterdir()) == []


def test_shared_memory_of_an_abandoned_workspace_is_removed(tmp_path):
    def abandon() -> str:
        return Workspace(str(tmp_path), rootfs="scan").memory_directory()

    abandoned = isolated(abandon)
    assert os.path.isdir(abandoned)
    with Workspace(str(tmp_path)):
        assert not os.path.exists(abandoned)


def test_a_workspace_that_lies_about_its_shared_memory_takes_nothing_along(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    for number, target in enumerate((victim, "/dev/shm/../../tmp", "/dev/shm/other", "/dev/shm")):
        lying = tmp_path / f"strake-build-{number}"
        lying.mkdir()
        lying.with_suffix(".lock").touch()
        (lying / "memory").symlink_to(target)
    with Workspace(str(tmp_path)):
        assert victim.is_dir()
        assert os.path.isdir("/dev/shm")
        assert not lying.exists()


def test_shared_memory_that_is_a_disk_gets_no_secret(tmp_path):
    with pytest.raises(UnsupportedError, match="secrets need a place in memory"):
        make_shared_memory("strake-memory-", location=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_where_overlay_is_refused_the_other_way_is_taken_and_reported(tmp_path):
    def work() -> tuple[str, list[str]]:
        """Overlay takes no overlay to write to."""
        lower, upper, scratch, merged = (tmp_path / part for part in ("lower", "upper", "scratch", "merged"))
        for path in (lower, upper, scratch, merged):
            path.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={scratch},userxattr".encode()
        syscalls.mount(b"overlay", bytes(merged), b"overlay", 0, options)
        warnings: list[str] = []
        with Workspace(str(merged), rootfs="auto", warn=warnings.append) as workspace:
            assert os.listdir(os.path.join(workspace.path, "roots")) == []
            return type(workspace.roots).__name__, warnings

    kind, [warning] = isolated(work)
    assert kind == "Scan"
    assert "cannot mount an overlay" in warning
    assert "slower" in warning


def test_where_overlay_is_allowed_it_is_taken_without_a_word(tmp_path):
    def work() -> tuple[str, list[str]]:
        warnings: list[str] = []
        with Workspace(str(tmp_path), rootfs="auto", warn=warnings.append) as workspace:
            return type(workspace.roots).__name__, warnings

    assert isolated(work) == ("Overlay", [])


def test_the_runtimes_files_are_in_memory(tmp_path):
    """On a disk, and above all on a full one, they would be secrets of the environment and halves of filters."""
    with Workspace(str(tmp_path)) as workspace:
        path = workspace.runtime_directory()
        assert file_system_type(path) == "tmpfs"
        assert os.stat(path).st_mode & 0o777 == 0o700
    assert file_system_type(path) is None


def test_where_nothing_can_be_mounted_they_are_beside_the_rest(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError

    with Workspace(str(tmp_path)) as workspace:
        monkeypatch.setattr(syscalls, "mount", refused)
        assert os.path.isdir(workspace.runtime_directory())
    assert list(tmp_path.iterdir()) == []
