"""Builds that are killed at any moment, run out of disk at any point, or meet a registry that fails.

Whatever happens: no wrong image, no half tag, no process, no mount, and the next build works.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import cast

import pytest

from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from tests.conformance.flatten import flatten
from tests.faults import faults
from tests.faults.registry import FaultyRegistry
from tests.fixtures.building.builds import Builder
from tests.fixtures.building.cached_builds import holds
from tests.fixtures.narrow import present
from tests.fixtures.servers.registry import LocalRegistry
from tests.images.push import push_image

KILLS = 50
MARKER = "strake-fault-marker"
TEXT = f"""\
FROM TINY AS one
RUN : {MARKER}; seq 100000 > /one
FROM TINY
RUN --mount=type=cache,target=/c : {MARKER}; seq 200000 > /two; date >> /c/times
COPY a /a
COPY --from=one /one /one
RUN cat /one /two | wc -l > /lines
"""


def is_whole(builder: Builder) -> bool:
    return holds(builder, "/lines", "300000\n") and holds(builder, "/a", "A")


def running() -> set[int]:
    """Processes of steps."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if MARKER.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(int(pid))
    return found


def await_nobody(builder: Builder) -> None:
    """Wait for the kernel to be done with the processes that died with the builder."""
    deadline = time.monotonic() + 180
    while running() or str(builder.work) in Path("/proc/self/mountinfo").read_text():
        assert time.monotonic() < deadline, running()
        time.sleep(0.01)


def test_a_builder_may_be_killed_at_any_moment(builder, tmp_path):
    builder.context(TEXT, a="A")
    flags = ("--cache-dir", str(tmp_path / "cache"), "--no-cache")
    started = time.monotonic()
    done = builder.run(*flags)
    assert done.returncode == 0, done.stderr
    whole, moments = time.monotonic() - started, random.Random(7)
    finished = 0
    for number in range(KILLS):
        victim = Builder(builder.registry, builder.directory, f"{builder.name}/{number}")
        process = victim.start(*flags)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0, whole))
        process.send_signal(signal.SIGKILL)
        _, log = process.communicate()
        await_nobody(victim)
        assert "Traceback" not in log
        assert process.returncode in {0, -signal.SIGKILL}, log
        if victim.tags():
            finished += 1
            assert is_whole(victim)
    assert finished < KILLS, "some were killed before they were done"
    done = builder.run("--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert is_whole(builder)
    assert builder.left_behind() == [], "the next build tidies up"


def on_a_disk_of(megabytes: int, directory: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command while `directory` is a file system of so many MB, in a mount namespace of its own."""
    script = 'mount -t tmpfs -o size="$0"m tmpfs "$1" && shift && "$@"; status=$?; ls -A "$PLACE" >&3; exit $status'
    reader, writer = os.pipe()
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "bash",
            "-c",
            f"exec 3>&{writer}; {script}",
            str(megabytes),
            str(directory),
            *command,
        ],
        capture_output=True,
        text=True,
        pass_fds=[writer],
        env={**Builder.environment(), "PLACE": str(directory)},
        timeout=240,
    )
    os.close(writer)
    with os.fdopen(reader) as pipe:
        left = pipe.read()
    assert left == "", f"left on the disk: {left}"
    return done


# from less than the base image to enough for everything; TEXT needs some 8 MB
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 64)


def test_a_disk_may_be_full_at_any_point(builder):
    builder.context(TEXT, a="A")
    builder.work.mkdir()
    outcomes = {}
    for size in SIZES:
        victim = Builder(builder.registry, builder.directory, f"{builder.name}/{size}")
        done = on_a_disk_of(size, victim.work, victim.command())
        outcomes[size] = done.returncode
        assert "Traceback" not in done.stderr
        await_nobody(victim)
        if done.returncode == 0:
            assert is_whole(victim)
            continue
        assert victim.tags() == []
        assert "error: " in done.stderr
        # a command that cannot write fails by itself; busybox's seq with 255, and without a word
        assert done.returncode == 11 or "No space left" in done.stderr, (size, done.stderr)
    assert outcomes[1] == 11
    assert outcomes[64] == 0
    assert builder.run().returncode == 0


@pytest.fixture
def failing(tmp_path):
    """A registry with a base image that fails as it is asked to, and a builder that pushes to it."""
    with FaultyRegistry() as registry:
        push_image("tiny", f"{registry.host}/library/busybox:1")
        # which takes of its registry what both have
        yield Builder(cast("LocalRegistry", registry), tmp_path, "result/app")


def image_is_whole(builder: Builder) -> bool:
    """Say whether every part of the image is there and right."""
    directory = Reference.parse(builder.destination)
    with builder.registry.client() as client:
        descriptor, data = client.manifest(directory.repository, present(directory.tag))
        manifest = parse(data, descriptor.media_type)
        assert isinstance(manifest, Manifest)
        flatten(client, directory.repository, directory.tag)
        return is_whole(builder)


RECOVERED = {
    "a pull that breaks": faults.drop_download(after=300_000, times=2),
    "a push that breaks": faults.drop_upload(after=1000, times=2),
    "a registry that is busy": faults.status(503, method="GET|PUT|POST|PATCH|HEAD", times=3),
    "a registry that limits": faults.status(429, method="POST|GET", times=2, Retry_After="0"),
    "a commit whose answer is lost": faults.fail_after_doing(500, method="PUT", path="/blobs/uploads/"),
    "a manifest whose answer is lost": faults.fail_after_doing(500, method="PUT", path="/manifests/"),
    "uploads that are forgotten": faults.forget_uploads(times=2),
    "an answer that never comes": faults.hang_up(method="PUT", path="/manifests/", times=2),
}
FATAL = {
    "no manifest of the base": (faults.status(404, method="GET", path="/library/", times=10**9), 5),
    "a base that may not be pulled": (faults.status(403, method="GET", path="/library/", times=10**9), 5),
    "a base of other bytes": (faults.send(b"x" * 1000, path="/library/busybox/blobs"), 5),
    "pushes refused": (faults.status(403, method="POST|PUT|PATCH", path="/result/", times=10**9), 9),
    "pushes refused by the end": (faults.status(403, method="PUT", path="/manifests/", times=10**9), 9),
    "pushes unauthorized": (faults.status(401, method="POST", path="/result/", times=10**9), 9),
    "a manifest that is refused": (faults.status(400, method="PUT", path="/manifests/", times=10**9), 8),
    "blobs that are refused": (
        faults.status(413, method="PUT|PATCH", path="/blobs/uploads/", times=10**9),
        8,
    ),
}


@pytest.mark.parametrize("fault", RECOVERED.values(), ids=RECOVERED)
def test_a_registry_that_recovers_costs_nothing(failing, fault):
    failing.context(TEXT, a="A")
    failing.registry.add(fault)
    done = failing.run()
    failing.registry.faults.clear()
    assert done.returncode == 0, done.stderr
    assert image_is_whole(failing)
    assert failing.left_behind() == []


@pytest.mark.parametrize(("fault", "status"), FATAL.values(), ids=FATAL)
def test_a_registry_that_fails_leaves_no_tag(failing, fault, status):
    failing.context(TEXT, a="A")
    failing.registry.add(fault)
    done = failing.run()
    failing.registry.faults.clear()
    assert done.returncode == status, done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert ("result/app", "1") not in failing.registry.store.manifests
    assert failing.left_behind() == []
    assert failing.run().returncode == 0
    assert image_is_whole(failing)
