"""Contexts and archives made to hurt the builder: it stays inside, ends soon, and says what is wrong."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
from contextlib import closing

import pytest

OUTSIDE = "the-machine-kept-this"


@pytest.fixture
def context(builder, tmp_path):
    """A context beside a directory that nobody may touch."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text(OUTSIDE)
    yield builder.context("FROM TINY\nCOPY . /c/", a="A")
    assert [p.name for p in (tmp_path / "outside").iterdir()] == ["secret"]
    assert (tmp_path / "outside/secret").read_text() == OUTSIDE
    assert builder.left_behind() == []


def archive(path, *members: tuple[tarfile.TarInfo, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def test_links_out_of_the_context_stay_links(builder, context):
    (context / "absolute").symlink_to("/etc/passwd")
    (context / "relative").symlink_to("../outside/secret")
    (context / "directory").symlink_to("../outside")
    (context / "loop").symlink_to("loop")
    done = builder.run()
    assert done.returncode == 0, done.stderr
    paths = builder.built().paths
    assert paths["/c/absolute"]["target"] == "/etc/passwd"
    assert paths["/c/directory"]["type"] == "symlink"
    assert "/c/directory/secret" not in paths


@pytest.mark.parametrize(
    "name", ["relative", "directory/secret", "absolute", "loop", "through/../../outside/secret"]
)
def test_a_named_link_leads_to_nothing_outside(builder, context, name):
    (context / "relative").symlink_to("../outside/secret")
    (context / "directory").symlink_to("../outside")
    (context / "absolute").symlink_to(str(context.parent / "outside/secret"))
    (context / "loop").symlink_to("loop")
    (context / "through").mkdir()
    builder.context(f"FROM TINY\nCOPY {name} /c/")
    done = builder.run(timeout=180)
    assert done.returncode == 6, done.stderr
    assert OUTSIDE not in done.stderr


def test_what_is_no_file_is_copied_as_what_it_is(builder, context):
    os.mkfifo(context / "pipe")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(context / "socket"))
        done = builder.run(timeout=180)
    assert done.returncode == 0, done.stderr
    paths = builder.built().paths
    assert paths["/c/pipe"]["type"] == "fifo"
    assert "/c/socket" not in paths


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore"])
@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "loop", "endless"])
def test_what_must_be_a_file_is_one(builder, context, name, kind):
    path = context / name
    path.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "device":
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
        case "loop":
            path.symlink_to(name)
        case "endless":
            with path.open("wb") as file:
                file.truncate(1 << 40)
    done = builder.run(timeout=180)
    assert done.returncode in {2, 3, 4}, done.stderr
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_names_are_bytes(builder, context):
    for name in (b"new\nline", b"\xff\xfe", b"-rf", b"tab\t", b"\xc3\xa9", b"a" * 255, b"$(id)", b"`id`"):
        with open(os.path.join(os.fsencode(context), name), "wb") as file:
            file.write(b"x")
    done = builder.run()
    assert done.returncode == 0, done.stderr
    assert sum(path.startswith("/c/") for path in builder.built().paths) == 10


def test_a_deep_context_is_copied(builder, context):
    fd = os.open(context, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("deep", dir_fd=fd)
        inner = os.open("deep", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    done = builder.run()
    assert done.returncode == 0, done.stderr
    assert "/c" + "/deep" * 400 in builder.built().paths


ESCAPES = {
    "dots": [(member("../../outside/new"), b"x")],
    "absolute": [(member("/outside/new"), b"x")],
    "a link, then through it": [
        (member("out", tarfile.SYMTYPE, "../../../../../../../../tmp"), b""),
        (member("out/strake-escaped"), b"x"),
    ],
    "a link to nowhere, then onto it": [
        (member("out", tarfile.SYMTYPE, "/strake-escaped-file"), b""),
        (member("out"), b"x"),
    ],
    "a hard link to outside": [(member("h", tarfile.LNKTYPE, "/etc/shadow"), b"")],
    "a hard link through a link": [
        (member("l", tarfile.SYMTYPE, "/etc"), b""),
        (member("h", tarfile.LNKTYPE, "l/hostname"), b""),
    ],
    "a file, then inside it": [(member("f"), b"x"), (member("f/g"), b"x")],
    "itself": [(member("."), b""), (member("h", tarfile.LNKTYPE, "h"), b"")],
}


@pytest.mark.parametrize("members", ESCAPES.values(), ids=ESCAPES)
def test_an_added_archive_stays_inside(builder, context, members):
    archive(context / "a.tar", *members)
    builder.context("FROM TINY\nADD a.tar /c/")
    done = builder.run(timeout=180)
    assert done.returncode in {0, 6}, done.stderr
    assert "Traceback" not in done.stderr
    assert not os.path.exists("/tmp/strake-escaped")
    assert not os.path.exists("/strake-escaped-file")


def test_an_archive_that_ends_early_is_told_as_such(builder, context):
    archive(context / "a.tar", (member("f"), b"x" * 100_000))
    (context / "a.tar").write_bytes((context / "a.tar").read_bytes()[:50_000])
    builder.context("FROM TINY\nADD a.tar /c/")
    done = builder.run()
    assert done.returncode == 6, done.stderr
    assert "Dockerfile:2" in done.stderr


def test_an_archive_that_unpacks_to_more_than_there_is_fills_no_other_disk(builder, context):
    """A gzip bomb meets the end of the work directory, and is reported as such."""
    with tarfile.open(context / "a.tar.gz", "w:gz", compresslevel=1) as tar:
        bomb = member("zeros")
        bomb.size = 200 << 20
        tar.addfile(bomb, io.BytesIO(bytes(bomb.size)))
    builder.context("FROM TINY\nADD a.tar.gz /c/")
    builder.work.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", builder.work], check=True)
    try:
        done = builder.run()
        assert done.returncode == 11, done.stderr
        assert builder.left_behind() == []
    finally:
        subprocess.run(["umount", builder.work], check=True)
