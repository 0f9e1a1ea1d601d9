"""Builds that are stopped in the middle of long work on a tree, an archive or a file: they end at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import tarfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from strake_oci.spec.digest import DiffID, Digest
from tests.fixtures.building.slow_removal import slow_programs
from tests.fixtures.content.hostile_images import HostileImages
from tests.fixtures.narrow import present

SOON = 6.0
"""Seconds from the cause to the end of the process, on a machine that is busy: one is enough. Whatever is
stopped here takes far longer: minutes, or the better part of one."""

FILES = 150_000
ANY = DiffID(Digest.sha256(b"nobody gets as far as to look"))


@pytest.fixture(scope="module")
def endless() -> bytes:
    """A packed archive of twelve million files, which take minutes; they have few names, and no room."""
    members = b"".join(tarfile.TarInfo(f"file-{number}").tobuf() for number in range(1000))
    packer = zlib.compressobj(1, wbits=31)
    piece = packer.compress(members * 100) + packer.flush()
    return piece * 120


@pytest.fixture(scope="module")
def many_files(base_registry, tmp_path_factory) -> Iterator[Path]:
    """A context of many files, in memory: to make them takes most of this module's time."""
    context = tmp_path_factory.mktemp("many")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", context], check=True)
    try:
        for number in range(FILES // 1000):
            directory = context / "tree" / str(number)
            directory.mkdir(parents=True)
            for name in range(1000):
                os.close(os.open(directory / str(name), os.O_CREAT | os.O_WRONLY))
        # Were it the last step, the COPY would write no files, and be done too soon.
        steps = "COPY tree /x/\nWORKDIR /x\n"
        (context / "Dockerfile").write_text(f"FROM {base_registry.host}/library/busybox:1\n{steps}")
        yield context
    finally:
        subprocess.run(["umount", context], check=True)


@pytest.fixture
def huge_file(builder) -> Path:
    """A context with a file of 200 GB that has no data: only looking at it takes long."""
    context = builder.context("FROM TINY\nCOPY huge /x/")
    with open(context / "huge", "wb") as file:
        file.truncate(200_000_000_000)
    return context


def entries(directory: Path) -> int:
    """Count what is in a directory and those in it, which change meanwhile."""
    return sum(len(names) for _, _, names in os.walk(directory))


def stop_when(builder, begun, *flags: str, stdin: int | None = None) -> None:
    """Send a signal when something is under way: the build ends soon, and leaves nothing."""
    process = subprocess.Popen(
        builder.command(*flags),
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=builder.environment(),
    )
    lines: list[str] = []

    def read() -> None:
        with present(process.stderr) as stream:
            lines.extend(stream)

    reader = threading.Thread(target=read)
    reader.start()
    limit = time.monotonic() + 180
    try:
        while not begun():
            assert process.poll() is None, lines
            assert time.monotonic() < limit, lines
            time.sleep(0.01)  # between looks: the build comes so far in its own time
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status = process.wait(180)
        assert time.monotonic() - sent < SOON
    finally:
        process.kill()
        process.wait()
        reader.join()
    assert status == 143, lines
    assert "stopped by SIGTERM" in lines[-1]
    assert builder.left_behind() == []


def holds(directory: Path, name: str) -> bool:
    """Say whether a tree has a file of a name, while a build makes and removes directories in it."""
    return any(name in files for _, _, files in os.walk(directory))


def time_out(builder, *flags: str) -> None:
    begun = time.monotonic()
    done = builder.run("--timeout", "3", *flags)
    assert time.monotonic() - begun < 3 + SOON
    assert done.returncode == 10, done.stderr
    assert "within 3 s" in done.stderr
    assert builder.left_behind() == []


def with_cache(flags: tuple[str, ...], builder) -> list[str]:
    return [str(builder.directory / word) if word == "cache" else word for word in flags]


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
class TestManyFiles:
    def test_a_signal(self, builder, many_files, rootfs):
        stop_when(
            builder,
            lambda: entries(builder.work) > 1000,
            *("--context", str(many_files), "--rootfs", rootfs),
        )

    def test_the_timeout(self, builder, many_files, rootfs):
        time_out(builder, "--context", str(many_files), "--rootfs", rootfs)


@pytest.mark.parametrize("flags", [(), ("--cache-dir", "cache")], ids=["the layer", "the digest"])
@pytest.mark.usefixtures("huge_file")
class TestHugeFile:
    """Without a cache the time goes into the layer that is written, with one into the file's digest."""

    def test_a_signal(self, builder, flags):
        begun = time.monotonic()
        stop_when(builder, lambda: time.monotonic() - begun > 4, *with_cache(flags, builder))

    def test_the_timeout(self, builder, flags):
        time_out(builder, *with_cache(flags, builder))


class TestEndlessArchive:
    @pytest.fixture(params=["a layer", "ADD", "a context", "a cached layer"])
    def flags(self, request, builder, endless) -> list[str]:
        """A build that unpacks it in one of the ways there are."""
        if "layer" in request.param:
            image = HostileImages(builder).push_packed([endless], (ANY,))
            builder.context(f"FROM {image}\nRUN true")
            return with_cache(("--cache-dir", "cache") if "cached" in request.param else (), builder)
        context = builder.context("FROM TINY\nADD endless.tar.gz /x/")
        (context / "endless.tar.gz").write_bytes(endless)
        return ["--context", f"tar://{context}/endless.tar.gz"] if request.param == "a context" else []

    def test_a_signal(self, builder, flags):
        def is_unpacking() -> bool:
            cache = builder.directory / "cache"
            return entries(builder.work) + (entries(cache) if cache.exists() else 0) > 900

        stop_when(builder, is_unpacking, *flags)
        self.nothing_is_left(builder)

    def test_the_timeout(self, builder, flags):
        time_out(builder, *flags)
        self.nothing_is_left(builder)

    @staticmethod
    def nothing_is_left(builder) -> None:
        layers = builder.directory / "cache/layers"
        if layers.exists():
            assert begun_layers(layers.parent) == []


def test_a_build_that_is_killed_leaves_a_cache_that_the_next_one_tidies_up(builder, endless):
    image = HostileImages(builder).push_packed([endless], (ANY,))
    builder.context(f"FROM {image}\nRUN true")
    cache = builder.directory / "cache"
    process = builder.start("--cache-dir", str(cache))
    try:
        while not (cache / "layers").exists() or entries(cache / "layers") < 900:
            assert process.poll() is None
            time.sleep(0.01)  # between looks: the build comes so far in its own time
    finally:
        process.kill()
        process.communicate()
    assert begun_layers(cache) != []
    builder.context("FROM TINY\nRUN true")
    done = builder.run("--cache-dir", str(cache))
    assert done.returncode == 0, done.stderr
    assert begun_layers(cache) == []


def begun_layers(cache: Path) -> list[str]:
    return [name for name in os.listdir(cache / "layers") if name.startswith(".")]


def test_a_workspace_that_takes_minutes_to_remove(builder, many_files, tmp_path):
    """The build ends all the same, says why something is left, and the next one removes it."""
    begun = time.monotonic()
    path = slow_programs(tmp_path / "programs")
    done = builder.run("--timeout", "3", "--context", str(many_files), PATH=path)
    assert time.monotonic() - begun < 3 + SOON + 6  # of which it has five
    assert done.returncode == 10, done.stderr
    assert "there was no time to remove" in done.stderr
    assert builder.left_behind() != []
    builder.context("FROM TINY\nCOPY Dockerfile /")
    done = builder.run()
    assert done.returncode == 0, done.stderr
    assert builder.left_behind() == []


def test_a_context_that_never_comes(builder):
    """The program that should send it falls silent after a file."""
    builder.context("FROM TINY")
    read, write = os.pipe()
    os.write(write, tarfile.TarInfo("first").tobuf())
    with contextlib.closing(os.fdopen(write, "wb")):
        flags = ("--context", "tar://stdin")
        try:
            stop_when(builder, lambda: holds(builder.work, "first"), *flags, stdin=read)
        finally:
            os.close(read)


def test_a_cache_that_another_build_has_locked(builder, tmp_path):
    """The build says what it waits for; it is stopped as any other."""
    flags = ("--no-push", "--cache-dir", str(tmp_path / "cache"), "--timeout", "180")
    step = "FROM TINY\nRUN --mount=type=cache,sharing=locked,target=/c echo"
    builder.context(f"{step} first")
    assert builder.run(*flags).returncode == 0
    (lock,) = (tmp_path / "cache/mounts").glob("*.lock")
    builder.context(f"{step} second")
    with lock.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with builder.start(*flags) as process:
            waiting = (line for line in process.stderr if "RUN with a cache at /c waits" in line)
            assert next(waiting, None), "the build did not wait"
            process.send_signal(signal.SIGTERM)
            assert process.wait(180) == 143
    assert builder.left_behind() == []
