"""What of a directory is packed, and that it is the same bytes each time."""

from __future__ import annotations

import os
import tarfile

import pytest

from strake_kubectl.errors import CommandError
from strake_kubectl.making.context import pack


@pytest.fixture
def packed(tmp_path):
    """Pack files, and return the members."""
    top = tmp_path / "context"
    top.mkdir()

    def made(files: dict[str, str], dockerfile: str = "Dockerfile") -> list[str]:
        for name, text in files.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(text)
        pack(str(top), dockerfile, str(tmp_path / "out.tar.gz"), warnings.append)
        with tarfile.open(tmp_path / "out.tar.gz") as archive:
            return archive.getnames()

    warnings: list[str] = []
    made.top = top  # type: ignore[attr-defined] # for tests that add what is no file
    made.warnings = warnings  # type: ignore[attr-defined] # likewise
    return made


FILES = {
    "Dockerfile": "FROM scratch\n",
    "src/a.c": "",
    "src/a.o": "",
    "node_modules/x/y.js": "",
    "keep/me": "",
}


def test_all_without_an_ignore_file(packed):
    assert packed(FILES) == [
        "Dockerfile",
        "keep",
        "keep/me",
        "node_modules",
        "node_modules/x",
        "node_modules/x/y.js",
        "src",
        "src/a.c",
        "src/a.o",
    ]


def test_what_dockerignore_names_stays_here(packed):
    assert packed({**FILES, ".dockerignore": "node_modules\n**/*.o\n"}) == [
        ".dockerignore",
        "Dockerfile",
        "keep",
        "keep/me",
        "src",
        "src/a.c",
    ]


def test_an_exception_brings_its_directories(packed):
    ignored = "**\n!node_modules/x/y.js\n"
    assert packed({**FILES, ".dockerignore": ignored}) == [
        ".dockerignore",
        "Dockerfile",
        "node_modules",
        "node_modules/x",
        "node_modules/x/y.js",
    ]


def test_the_dockerfile_goes_in_any_case_with_its_own_ignore_file(packed):
    files = {
        **FILES,
        "ci/app.Dockerfile": "FROM scratch\n",
        "ci/app.Dockerfile.dockerignore": "*\n",
        ".dockerignore": "",
    }
    assert packed(files, "ci/app.Dockerfile") == [
        ".dockerignore",
        "ci",
        "ci/app.Dockerfile",
        "ci/app.Dockerfile.dockerignore",
    ]


def test_links_stay_links_and_what_is_no_file_is_told_of(packed):
    (packed.top / "outside").symlink_to("/etc/passwd")
    os.mkfifo(packed.top / "pipe")
    assert packed({"Dockerfile": ""}) == ["Dockerfile", "outside"]
    assert packed.warnings == ["pipe is no file and is left out"]


def test_the_same_files_are_the_same_bytes(tmp_path):
    layers = set()
    for number in range(2):
        top = tmp_path / str(number)
        (top / "b").mkdir(parents=True)
        for name in ("b/c", "Dockerfile", "a")[:: 1 if number else -1]:
            (top / name).write_text("x")
        for path in (top / "b/c", top / "Dockerfile", top / "a", top / "b"):
            os.utime(path, (10, 10))
        layers.add(pack(str(top), "Dockerfile", str(tmp_path / f"{number}.tar.gz"), print).layer)
    assert len(layers) == 1


def test_a_directory_without_a_dockerfile(tmp_path):
    with pytest.raises(CommandError, match="there is no Dockerfile at"):
        pack(str(tmp_path), "Dockerfile", str(tmp_path / "out"), print)
