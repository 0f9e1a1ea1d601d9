"""Archives are the same whenever they are made."""

from __future__ import annotations

import subprocess
import tarfile

import pytest

from release.files import ReleaseError, commit_time, run, uncommitted, write_archive

MOMENT = 1_700_000_000


def test_an_archive_tells_nothing_of_its_making(tmp_path):
    files = {"b/program": (b"#!", True), "a": (b"text", False)}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_archive(tmp_path / name / f"{name}.tar.gz", files, MOMENT)
    one, two = tmp_path / "one/one.tar.gz", tmp_path / "two/two.tar.gz"
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as archive:
        members = archive.getmembers()
    assert [(each.name, each.mode, each.mtime, each.uid, each.uname) for each in members] == [
        ("a", 0o644, MOMENT, 0, ""),
        ("b/program", 0o755, MOMENT, 0, ""),
    ]


def test_a_tree_without_a_commit_needs_a_time(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ReleaseError, match=r"set \$SOURCE_DATE_EPOCH"):
        commit_time(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(MOMENT))
    assert commit_time(tmp_path) == MOMENT
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert commit_time(tmp_path) == 315532800, "a zip knows no earlier one"


def test_what_no_commit_has_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert uncommitted(tmp_path) == [], "no checkout"
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert uncommitted(tmp_path) == []
    (tmp_path / "new file").write_text("")
    assert uncommitted(tmp_path) == ['"new file"']


def test_a_program_that_is_missing_or_fails_is_told(tmp_path):
    with pytest.raises(ReleaseError, match=r"wheel: there is no program no-such-program"):
        run(["no-such-program"], "wheel", tmp_path)
    with pytest.raises(ReleaseError, match=r"wheel: sh ended with status 3: broken"):
        run(["sh", "-c", "echo broken >&2; exit 3"], "wheel", tmp_path)
