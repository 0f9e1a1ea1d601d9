"""Nobody else can replace what a build makes in its work directory, or have root remove what is not a build's."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from strake_builder.solve.workspace import work_directory

SOMEBODY = 4242


@pytest.fixture
def context(builder):
    builder.context("FROM TINY\nRUN true\n")


@pytest.mark.usefixtures("context")
class TestParent:
    def refused(self, builder, work, *words: str) -> None:
        done = builder.run("--no-push", "--work-dir", str(work))
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "is not safe" in done.stderr
        assert "--work-dir" in done.stderr
        for word in words:
            assert word in done.stderr
        assert not [name for name in os.listdir(work) if name.startswith("strake-")]

    def taken(self, builder, work) -> None:
        done = builder.run("--no-push", "--work-dir", str(work))
        assert done.returncode == 0, done.stderr

    def test_of_somebody_else(self, builder, tmp_path):
        work = tmp_path / "theirs"
        work.mkdir()
        os.chown(work, SOMEBODY, SOMEBODY)
        self.refused(builder, work, str(SOMEBODY))

    @pytest.mark.parametrize(("mode", "group"), [(0o777, 0), (0o757, 0), (0o775, SOMEBODY)])
    def test_that_others_can_write_to(self, builder, tmp_path, mode, group):
        work = tmp_path / "open"
        work.mkdir()
        os.chown(work, 0, group)
        work.chmod(mode)
        self.refused(builder, work, "other users can write")

    @pytest.mark.parametrize("above", ["theirs", "open"])
    def test_in_a_directory_that_others_can_change(self, builder, tmp_path, above):
        outer = tmp_path / above
        work = outer / "middle/work"
        work.mkdir(parents=True)
        os.chown(outer, SOMEBODY if above == "theirs" else 0, 0)
        outer.chmod(0o755 if above == "theirs" else 0o777)
        self.refused(builder, work, str(outer))

    def test_a_link_counts_as_what_it_leads_to(self, builder, tmp_path):
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        (tmp_path / "link").symlink_to("open")
        self.refused(builder, tmp_path / "link")

    def test_with_the_sticky_bit(self, builder, tmp_path):
        (tmp_path / "tmp").mkdir()
        (tmp_path / "tmp").chmod(0o1777)
        self.taken(builder, tmp_path / "tmp")

    def test_a_group_of_ones_own(self, builder, tmp_path):
        (tmp_path / "own").mkdir()
        (tmp_path / "own").chmod(0o775)
        self.taken(builder, tmp_path / "own")

    def test_a_directory_in_a_volume_of_a_pod(self, builder, tmp_path):
        volume = tmp_path / "volume"
        volume.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", volume], check=True)
        try:
            self.taken(builder, volume / "a/b")
        finally:
            subprocess.run(["umount", volume], check=True)

    def test_a_volume_of_a_pod(self, builder, tmp_path):
        """An emptyDir belongs to root and lets everybody write."""
        volume = tmp_path / "volume"
        volume.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", volume], check=True)
        try:
            self.taken(builder, volume)
            assert stat.S_IMODE(volume.stat().st_mode) == 0o1777
        finally:
            subprocess.run(["umount", volume], check=True)

    def test_what_is_missing_is_made_for_the_owner_to_write(self, builder, tmp_path):
        self.taken(builder, tmp_path / "a/b/c")
        for name in ("a", "a/b", "a/b/c"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o755


def test_the_default_is_each_users_own(builder):
    shown = subprocess.run(
        [builder.command()[0], "build", "--help"], capture_output=True, text=True, check=True
    )
    assert "/var/tmp/strake-UID" in "".join(shown.stdout.split())


class TestAbandoned:
    """What looks like an abandoned workspace in a directory where everybody may write."""

    @pytest.fixture
    def work(self, builder):
        builder.context("FROM scratch\nCOPY Dockerfile /\n")
        builder.work.mkdir()
        builder.work.chmod(0o1777)
        return builder.work

    def make(self, work, *, owner: int, lock_owner: int) -> None:
        (work / "strake-build-x").mkdir()
        (work / "strake-build-x/file").touch()
        (work / "strake-build-x.lock").touch()
        os.chown(work / "strake-build-x", owner, owner)
        os.chown(work / "strake-build-x.lock", lock_owner, lock_owner)

    def test_ones_own_is_removed(self, builder, work):
        self.make(work, owner=0, lock_owner=0)
        assert builder.run("--no-push").returncode == 0
        assert os.listdir(work) == []

    @pytest.mark.parametrize(("owner", "lock_owner"), [(SOMEBODY, SOMEBODY), (0, SOMEBODY), (SOMEBODY, 0)])
    def test_somebody_elses_is_not(self, builder, work, owner, lock_owner):
        self.make(work, owner=owner, lock_owner=lock_owner)
        assert builder.run("--no-push").returncode == 0
        assert (work / "strake-build-x/file").exists()

    def test_a_link_is_not_followed(self, builder, work, tmp_path):
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim/file").touch()
        (work / "strake-build-x").symlink_to(tmp_path / "victim")
        (work / "strake-build-x.lock").touch()
        assert builder.run("--no-push").returncode == 0
        assert (tmp_path / "victim/file").exists()


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_user_namespace_without_the_machines_root(monkeypatch, tmp_path, is_whole):
    """Its system directories belong to nobody that it knows."""
    ids = tmp_path / "uid_map"
    ids.write_text("0 0 4294967295\n" if is_whole else "0 65533 1\n")
    monkeypatch.setattr(work_directory, "_UID_MAP", ids)
    assert work_directory._unmapped_owner() == (() if is_whole else (65534,))
