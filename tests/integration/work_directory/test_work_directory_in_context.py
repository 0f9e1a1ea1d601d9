"""A work directory, or a cache, inside the context is never read from it."""

from __future__ import annotations

import pytest

from tests.fixtures.building.cached_builds import holds


def built_twice(builder, *flags):
    for _ in range(2):
        done = builder.run(*flags, timeout=180)
        assert done.returncode == 0, done.stderr
    return builder.built()


@pytest.mark.parametrize("work", ["context/.work", "context/a/b", "context"])
@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_copy_of_everything(builder, work, rootfs):
    builder.context("FROM TINY\nCOPY . /src/\n", file="1")
    flat = built_twice(builder, "--work-dir", str(builder.directory / work), "--rootfs", rootfs)
    found = {path for path in flat.paths if path.startswith("/src/")}
    assert {"/src/file", "/src/Dockerfile"} <= found <= {"/src/file", "/src/Dockerfile", "/src/a"}


def test_the_cache_and_a_bind_mount(builder):
    cache = str(builder.directory / "context/cache")
    builder.context(
        "FROM TINY\nRUN --mount=target=/m cd /m && find . | sort > /list\nCOPY . /src/\n", file="1"
    )
    flags = ("--work-dir", str(builder.directory / "context/.work"), "--cache-dir", cache)
    built_twice(builder, *flags)
    assert "CACHED" in builder.run(*flags).stderr
    assert holds(builder, "/list", ".\n./Dockerfile\n./file\n")


@pytest.mark.parametrize("kind", ["oci", "docker", "tar"])
@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_an_output_is_written_when_the_context_was_read(builder, kind, rootfs):
    """Nothing of an output is in its own image; a finished one of an earlier build is a file like others."""
    builder.context("FROM TINY\nCOPY . /src/\n", file="1")
    output = f"type={kind},dest={builder.directory}/context/out.tar"
    done = builder.run("--output", output, "--rootfs", rootfs)
    assert done.returncode == 0, done.stderr
    assert {path for path in builder.built().paths if path.startswith("/src/")} == {
        "/src/file",
        "/src/Dockerfile",
    }
    assert builder.run("--output", output, "--rootfs", rootfs).returncode == 0
    assert "/src/out.tar" in builder.built().paths
