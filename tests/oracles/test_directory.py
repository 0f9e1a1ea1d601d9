"""The comparison over a directory finds what differs, and nothing else."""

from __future__ import annotations

from tests.oracles import directory
from tests.oracles.comparison import run_theirs

SOUND = "ARG TAG=3\nFROM registry.example/tools:$TAG AS tools\nFROM node\nCOPY --from=tools /x /x\nRUN npm ci\nCMD a b\n"


def test_real_files_with_images_that_nobody_has(tmp_path, capsys):
    (tmp_path / "app").mkdir()
    (tmp_path / "app/Dockerfile").write_text(SOUND)
    (tmp_path / "deploy.Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (tmp_path / "Dockerfile.broken").write_text("FROM\n")
    (tmp_path / "README.md").write_text("FROM\n")
    (tmp_path / "Containerfile").write_bytes(b"FROM \xff\n")
    (tmp_path / "Dockerfile.link").symlink_to("/etc/passwd")
    assert directory.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "4 files: 3 alike, 1 not UTF-8\n"


def test_both_sides_understand_them(buildkit):
    assert isinstance(run_theirs(buildkit, SOUND, {}, "", directory.images(SOUND)), dict)
    assert len(directory.images(SOUND)) == 2


def test_a_difference_is_shown(tmp_path, capsys):
    (tmp_path / "Dockerfile").write_text("FROM a\nEXPOSE 80${x:-80}\n")  # see DIFFERENT_FILES
    assert directory.main([str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert f"{tmp_path}/Dockerfile: config\n" in shown
    assert "1 files: 1 different" in shown
