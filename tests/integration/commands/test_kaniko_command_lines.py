"""Command lines as pipelines have them for kaniko's executor, carried out."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import Literal

import pytest
import zstandard

OUTSIDE = "outside the context"


def archive(path, *members: tuple[tarfile.TarInfo, bytes], mode: Literal["w", "w:gz"] = "w:gz") -> str:
    with tarfile.open(path, mode) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return f"tar://{path}"


def packed_with_zstd(path) -> None:
    path.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))


def file(name: str, content: str) -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content.encode()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def run(builder, *flags: str, **options) -> subprocess.CompletedProcess:
    """Run `strake build` with no flag but these and a work directory."""
    command = [*builder.command()[:2], "--work-dir", str(builder.work), *flags]
    return subprocess.run(command, capture_output=True, timeout=240, **options)


@pytest.fixture
def destination(builder):
    builder.work.mkdir(exist_ok=True)
    yield f"{builder.registry.host}/{builder.name}:1"
    assert builder.left_behind() == []


def test_a_line_of_a_pipeline(builder, destination, tmp_path):
    inner = builder.context("FROM TINY", hello="hi") / "app"
    inner.mkdir()
    unused = f"FROM {builder.names['TINY']} AS unused\nRUN false\n"
    (inner / "Dockerfile").write_text(f"{unused}FROM scratch\nCOPY hello /\n")
    (inner / "hello").write_text("from the sub path")
    done = run(
        builder,
        *(f"--context=dir://{inner.parent}", "--context-sub-path=app", "--dockerfile=Dockerfile"),
        *(f"--destination={destination}", "--insecure", "--skip-tls-verify=false", "--cache=true"),
        *("--snapshot-mode=redo", "--use-new-run", "--cleanup", "--push-retry=3", "--verbosity=info"),
        *("--skip-unused-stages=true", "--compressed-caching=false", "--log-format=color", "--force"),
        *("--ignore-path=/busybox", f"--digest-file={tmp_path}/digest", "--cache-ttl=6h"),
        cwd=tmp_path,
    )
    log = done.stderr.decode()
    assert done.returncode == 0, log
    assert builder.built().paths.keys() >= {"/hello"}
    assert (tmp_path / "digest").read_text().startswith("sha256:")
    for flag in ("--cleanup", "--snapshot-mode", "--push-retry", "--force"):
        assert f"note: {flag} is not needed" in log


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zstd"])
def test_context_in_an_archive(builder, destination, tmp_path, mode):
    context = archive(
        tmp_path / "context.tar",
        file("app/Dockerfile", "FROM scratch\nCOPY . /c/\n"),
        file("app/deep/down/hello", "hi"),
        file("app/.dockerignore", "secret\n"),
        file("app/secret", "x"),
        file("beside", "x"),
        mode="w" if mode == "zstd" else mode,
    )
    if mode == "zstd":
        packed_with_zstd(tmp_path / "context.tar")
    flags = ("--context", context, "--context-sub-path", "app")
    done = run(builder, *flags, "--destination", destination, "--insecure")
    assert done.returncode == 0, done.stderr
    paths = builder.built().paths
    assert "/c/deep/down/hello" in paths
    assert not {"/c/secret", "/c/beside", "/c/app"} & paths.keys()


def test_context_on_standard_input(builder, destination, tmp_path):
    context = archive(tmp_path / "c.tgz", file("Dockerfile", "FROM scratch\nCOPY a /\n"), file("a", "A"))
    with open(context.removeprefix("tar://"), "rb") as stdin:
        done = run(builder, "-c", "tar://stdin", "-d", destination, "--insecure", stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert "/a" in builder.built().paths


def test_an_archive_cannot_leave_its_directory(builder, destination, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text(OUTSIDE)
    context = archive(
        tmp_path / "c.tar",
        file("Dockerfile", "FROM scratch\nCOPY . /c/\n"),
        link("up", str(outside)),
        file("up/kept", "overwritten"),
        file("../../../../../../.." + str(outside) + "/new", "x"),
        link("hard", str(outside / "kept"), tarfile.LNKTYPE),
    )
    done = run(builder, "-c", context, "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert [each.name for each in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == OUTSIDE
    # Every path meant one in the context, as a chroot has it.
    assert (tmp_path / "out/c/hard").read_text() == "overwritten"
    assert (tmp_path / f"out/c{outside}/new").read_text() == "x"


@pytest.mark.parametrize(
    ("content", "status", "why"),
    [
        (b"", 3, b"there is no Dockerfile"),
        (b"no archive at all" * 100, 4, b"cannot unpack the context"),
        (b"\x1f\x8b\x08\x00cut", 4, b"the compressed stream is damaged"),
    ],
)
def test_what_is_no_archive(builder, destination, tmp_path, content, status, why):
    (tmp_path / "c.tar").write_bytes(content)
    done = run(builder, "-c", f"tar://{tmp_path}/c.tar", "-d", destination, "--insecure")
    assert done.returncode == status
    assert why in done.stderr


def test_contexts_that_are_not_supported_say_what_is(builder, destination):
    done = run(builder, "-c", "hdfs://bucket/c.tgz", "-d", destination)
    assert done.returncode == 2
    assert b"are not supported" in done.stderr
    assert b"tar://stdin" in done.stderr
