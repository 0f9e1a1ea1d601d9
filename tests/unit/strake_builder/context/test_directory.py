"""The digest of a directory's files, by which a ConfigMap is known."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from strake_api.models.source import DirectorySource
from strake_builder.context.directory import directory_digest, local_directory, mounted_files
from strake_builder.errors import SourceError


def tree(top: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
        (top / name).chmod(0o644)
    return top


def mounted(top: Path, files: dict[str, str], version: str = "..2026_11_29") -> Path:
    """Make what the kubelet makes of a ConfigMap."""
    tree(top / version, files)
    (top / "..data").unlink(missing_ok=True)
    (top / "..data").symlink_to(version)
    for name in files:
        (top / name).unlink(missing_ok=True)
        (top / name).symlink_to(f"..data/{name}")
    return top


def test_two_mounts_of_one_configmap_have_one_digest(tmp_path):
    files = {"Dockerfile": "FROM scratch\n", "a": "1"}
    one, other = mounted(tmp_path / "1", files), mounted(tmp_path / "2", files, "..another")
    assert directory_digest(mounted_files(str(one))) == directory_digest(mounted_files(str(other)))
    assert directory_digest(str(tree(tmp_path / "3", files))) == directory_digest(mounted_files(str(one)))


@pytest.mark.parametrize(
    "files",
    [
        {"ab": "c", "d": "e"},
        {"a": "bc", "d": "f"},
        {"a": "bc"},
        {"a": "bc", "d": "e", "f": ""},
        {"a": "bcd", "e": ""},
        {"a/a": "bc", "d": "e"},
    ],
    ids=str,
)
def test_other_files_have_another_digest(tmp_path, files):
    ours = directory_digest(str(tree(tmp_path / "1", {"a": "bc", "d": "e"})))
    assert directory_digest(str(tree(tmp_path / "2", files))) != ours


def test_a_mode_and_a_link_count(tmp_path):
    ours = tree(tmp_path / "1", {"a": "b"})
    before = directory_digest(str(ours))
    (ours / "a").chmod(0o755)
    executable = directory_digest(str(ours))
    (ours / "a").unlink()
    (ours / "a").symlink_to("b")
    assert len({before, executable, directory_digest(str(ours))}) == 3


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="is no file"):
        directory_digest(str(tmp_path))


def test_the_files_that_were_checked_are_the_files_that_are_built(tmp_path):
    """What the kubelet does to the mount afterwards reaches no step."""
    source = mounted(tmp_path / "1", {"Dockerfile": "FROM scratch\n"})
    (tmp_path / "scratch").mkdir()
    digest = directory_digest(mounted_files(str(source)))

    directory = local_directory(DirectorySource(path=str(source), digest=digest), str(tmp_path / "scratch"))
    shutil.rmtree(source)

    assert (Path(directory) / "Dockerfile").read_text() == "FROM scratch\n"


def test_a_configmap_that_changed_during_the_run_fails_with_what_to_do(tmp_path):
    source = mounted(tmp_path / "1", {"Dockerfile": "FROM scratch\n"})
    digest = directory_digest(mounted_files(str(source)))
    mounted(source, {"Dockerfile": "FROM scratch\nCOPY . /\n"}, "..later")
    (tmp_path / "scratch").mkdir()

    with pytest.raises(SourceError, match="the ConfigMap changed meanwhile") as caught:
        local_directory(DirectorySource(path=str(source), digest=digest), str(tmp_path / "scratch"))

    assert "run it again" in caught.value.hint
