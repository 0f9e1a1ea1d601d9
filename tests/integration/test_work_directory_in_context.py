"""A work directory, or a cache, inside the context is never read from it."""

from __future__ import annotations

import pytest

from tests.fixtures.cached_builds import holds


def built_twice(builder, *flags):
    for _ in range(2):
        done = builder.run(*flags, timeout=60)
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
