"""The files of an image without the image: in a directory, and in a tar that GNU tar reads."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tarfile

import pytest

from tests.fixtures.narrow import present

STRANGE = r"""FROM TINY
RUN mkdir -p /odd/deep /odd/gone && echo content > /odd/file && ln /odd/file /odd/hard \
 && ln -s /etc/passwd /odd/out && ln -s ../../../../outside /odd/up && mkfifo /odd/pipe \
 && cp /bin/busybox /odd/suid && chown 1000:1000 /odd/suid && chmod 6755 /odd/suid \
 && mknod /odd/device c 1 3 && touch -d @1000 /odd/deep && rm -r /odd/gone && printf x > "$(printf '/odd/new\nline')"
RUN rm /odd/pipe && mkfifo /odd/pipe2
"""


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_a_directory_has_the_files_and_nothing_that_is_dangerous(builder, tmp_path, rootfs):
    builder.context(STRANGE)
    out = tmp_path / "parent/out"
    done = builder.run("--no-push", "--output", str(out), "--rootfs", rootfs)
    assert done.returncode == 0, done.stderr
    assert "1 device nodes" in done.stderr
    odd = out / "odd"
    names = {"deep", "file", "hard", "out", "up", "pipe2", "suid", "new\nline"}
    assert {path.name for path in odd.iterdir()} == names
    assert (odd / "file").read_text() == "content\n"
    assert (odd / "file").stat().st_ino == (odd / "hard").stat().st_ino
    assert os.readlink(odd / "out") == "/etc/passwd"
    assert os.readlink(odd / "up") == "../../../../outside"
    suid = (odd / "suid").stat()
    assert (stat.S_IMODE(suid.st_mode), suid.st_uid, suid.st_gid) == (0o755, os.getuid(), os.getgid())
    assert (odd / "deep").stat().st_mtime == 1000
    assert {p.name for p in tmp_path.iterdir()} == {"parent", "context", "work"}
    assert {p.name for p in out.parent.iterdir()} == {"out"}
    assert builder.tags() == []


def test_files_alone_need_no_image(builder, tmp_path):
    builder.context("FROM TINY\nRUN echo x > /x")
    flags = ("--no-push", "--log-format", "json", "-o", str(tmp_path / "out"))
    done = builder.run(*flags)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/x").read_text() == "x\n"
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    assert (result["outcome"], result["steps"]["run"]) == ("Succeeded", 1)
    assert "digest" not in result


@pytest.mark.parametrize(
    "also", ["--digest-file={}/digest", "--output=type=oci,dest={}/image.tar", "--cache-dir={}/cache"]
)
def test_whatever_else_is_asked_for_gets_the_image(builder, tmp_path, also):
    builder.context("FROM TINY\nRUN echo x > /x")
    for number in (1, 2):  # a second time, from the cache where there is one
        out = tmp_path / f"out{number}"
        done = builder.run("--no-push", "--log-format=json", "-o", str(out), also.format(tmp_path))
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])["result"]
        assert result["digest"].startswith("sha256:")
        assert result["layers"] == 2
        assert (out / "x").read_text() == "x\n"


def test_capabilities_of_files_do_not_leave_the_image(builder, tmp_path):
    context = builder.context("FROM TINY\nCOPY tool /tool")
    (context / "tool").write_bytes(b"#!")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(context / "tool", "security.capability", capability)
    done = builder.run("--no-push", "-o", str(tmp_path / "out"), "-o", f"type=tar,dest={tmp_path}/out.tar")
    assert done.returncode == 0, done.stderr
    assert "security.capability" not in os.listxattr(tmp_path / "out/tool")
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert "SCHILY.xattr.security.capability" in tar.getmember("tool").pax_headers


def test_a_directory_that_has_something_is_left_as_it_is(builder, tmp_path):
    builder.context("FROM TINY")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("precious")
    done = builder.run("--no-push", "-o", str(tmp_path / "out"))
    assert done.returncode == 8
    assert "not an empty directory" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.fixture
def small(tmp_path):
    """A file system that is soon full."""
    (tmp_path / "small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path / "small"], check=True)
    yield tmp_path / "small"
    subprocess.run(["umount", tmp_path / "small"], check=True)


def test_an_empty_directory_is_filled(builder, tmp_path):
    builder.context("FROM scratch\nCOPY Dockerfile /file\nCOPY Dockerfile /dir/file")
    (tmp_path / "out").mkdir(mode=0o750)
    done = builder.run("--no-push", "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["dir", "file"]
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


def test_an_empty_directory_may_be_a_mount(builder, small):
    builder.context("FROM scratch\nCOPY Dockerfile /file")
    done = builder.run("--no-push", "-o", str(small))
    assert done.returncode == 0, done.stderr
    assert [p.name for p in small.iterdir()] == ["file"]


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_an_archive_of_files_is_what_gnu_tar_reads(builder, tmp_path, rootfs):
    builder.context(STRANGE)
    target = f"type=tar,dest={tmp_path}/out.tar"
    done = builder.run("--no-push", "--rootfs", rootfs, "-o", target, SOURCE_DATE_EPOCH="123456789")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(
        ["tar", "--numeric-owner", "--utc", "-tvf", tmp_path / "out.tar"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    odd = {line.split(" odd/")[1]: line for line in listed if " odd/" in line}
    assert odd["suid"].startswith("-rwsr-sr-x 1000/1000")
    assert odd["device"].startswith("crw")
    assert odd["pipe2"].startswith("prw")
    assert "pipe" not in odd
    assert "odd/hard link to odd/file" in "\n".join(listed)
    assert all("1973-11-29 21:33" in line for line in listed)
    assert not any(".wh." in line for line in listed)


def test_an_archive_of_files_goes_to_the_standard_output(builder, tmp_path):
    builder.context("FROM scratch\nCOPY Dockerfile /file")
    with open(tmp_path / "out.tar", "wb") as file:
        subprocess.run(builder.command("-o", "-"), stdout=file, check=True, env=builder.environment())
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert tar.getnames() == ["file"]
    assert builder.tags() == ["1"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_for_the_user_have_the_users_permissions(builder, tmp_path, mask):
    builder.context("FROM TINY")
    flags = ("--tar-path", "a.tar", "--oci-layout-path", "layout", "--digest-file", "digest", "-o", "tree")
    subprocess.run(
        builder.command("--no-push", *(f if f.startswith("-") else str(tmp_path / f) for f in flags)),
        check=True,
        env=builder.environment(),
        umask=mask,
    )
    for name, most in {"a.tar": 0o666, "digest": 0o666, "layout": 0o777, "tree": 0o777}.items():
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == most & ~mask, name


@pytest.mark.parametrize(
    "output",
    [
        "type=local,dest={}/out",
        "type=tar,dest={}/out.tar",
        "type=oci,dest={}/o.tar",
        "type=docker,dest={}/d.tar",
    ],
)
def test_a_full_disk_is_told_and_leaves_no_part(builder, small, output):
    context = builder.context("FROM scratch\nCOPY data /")
    (context / "data").write_bytes(os.urandom(2 << 20))
    done = builder.run("--no-push", "--output", output.format(small))
    assert done.returncode == 8, done.stderr
    assert "No space left" in done.stderr
    assert str(small) in done.stderr
    assert list(small.iterdir()) == []


def test_what_a_cache_knows_has_files_too(builder, tmp_path):
    builder.context("FROM TINY\nRUN echo made > /made\nCOPY Dockerfile /copied")
    cache = ("--no-push", "--cache-dir", str(tmp_path / "cache"))
    trees = []
    for name in ("one", "two"):
        done = builder.run(*cache, "-o", str(tmp_path / name), "-o", f"type=tar,dest={tmp_path / name}.tar")
        assert done.returncode == 0, done.stderr
        trees.append({str(p.relative_to(tmp_path / name)) for p in (tmp_path / name).rglob("*")})
    assert done.stderr.count("CACHED") == 2
    assert trees[0] == trees[1] >= {"made", "copied"}
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_build_that_is_stopped_stops_writing(builder):
    context = builder.context("FROM scratch\nCOPY data /")
    with open(context / "data", "wb") as file:
        file.truncate(512 << 20)
    process = subprocess.Popen(
        builder.command("--no-push", "-o", "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=builder.environment(),
    )
    written = len(present(process.stdout).read(1 << 20))  # it is writing, and the pipe is full
    process.terminate()
    while piece := present(process.stdout).read(1 << 16):
        written += len(piece)
    _, log = process.communicate(timeout=180)
    assert process.returncode == 143, log
    assert written < 512 << 20
    assert builder.left_behind() == []
