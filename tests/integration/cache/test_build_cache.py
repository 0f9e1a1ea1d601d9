"""Builds that follow builds: what is cached, what must not be, and that the image is the same either way."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.fixtures.building.builds import Builder
from tests.fixtures.building.cached_builds import Cached, flags_of, holds, outcome


@pytest.fixture(params=["directory", "layout", "repository", "image"])
def cached(request, builder, tmp_path):
    return Cached(builder, flags_of(request.param, builder, tmp_path))


@pytest.fixture(params=["directory", "repository"])
def full(request, builder, tmp_path):
    """Caches that hold every step, those of stages that are only copied from too."""
    return Cached(builder, flags_of(request.param, builder, tmp_path))


def test_a_second_build_runs_nothing_and_is_the_same_image(cached):
    cached.builder.context(
        "FROM TINY\nRUN echo 1 > /1\nRUN true\nWORKDIR /w\nCOPY a .\nENV X=y\nRUN --network=none cat a > b",
        a="A",
    )
    first = cached.build()
    assert (first.status, len(first.ran), first.cached) == (0, 5, []), first
    second = cached.build()
    assert (second.ran, len(second.cached)) == ([], 5), second
    assert second.digest == first.digest
    assert second.pulled == []
    assert second.result["steps"] == {"total": 6, "run": 0, "cached": 5}
    assert second.warnings == first.warnings


def test_a_cached_build_goes_to_another_repository_without_a_layer_read(full):
    full.builder.context("FROM TINY\nRUN echo 1 > /1")
    first = full.build()
    before = len(full.builder.registry.requests())
    other = f"{full.builder.registry.host}/{full.builder.name}/other:1"
    second = full.build("--destination", other)
    assert (second.ran, second.digest) == ([], first.digest)
    layers = [layer for layer in requests_for_blobs(full.builder, before) if "GET" in layer]
    assert len(layers) == 1, layers  # the base image's config
    assert {image.partition("@")[0] for image in second.result["images"]} == {
        full.builder.destination.removesuffix(":1"),
        other.removesuffix(":1"),
    }


def requests_for_blobs(builder: Builder, since: int) -> list[str]:
    return [line for line in builder.registry.requests()[since:] if "/blobs/sha256:" in line]


def test_steps_after_a_change_run(cached):
    cached.builder.context("FROM TINY\nRUN echo 1 > /1\nCOPY a /a\nRUN cat /a > /b", a="A")
    cached.build()
    cached.builder.context("FROM TINY\nRUN echo 1 > /1\nCOPY a /a\nRUN cat /a > /b", a="B")
    second = cached.build()
    assert second.cached == ["RUN echo 1 > /1"]
    assert second.ran == ["COPY a /a", "RUN cat /a > /b"]
    assert holds(cached.builder, "/b", "B")


def test_touching_a_file_changes_nothing(cached):
    context = cached.builder.context("FROM TINY\nCOPY . /src", a="A")
    first = cached.build()
    os.utime(context / "a", (1, 1))
    second = cached.build()
    assert (second.ran, second.digest) == ([], first.digest)


@pytest.mark.parametrize(
    "change",
    [
        lambda context: os.chmod(context / "a", 0o755),
        lambda context: (context / "a").rename(context / "b"),
        lambda context: (context / "new").mkdir(),
        lambda context: ((context / "a").unlink(), (context / "a").symlink_to("Dockerfile")),
    ],
    ids=["mode", "name", "empty directory", "type"],
)
def test_what_a_copy_shows_counts(builder, tmp_path, change):
    cached = Cached(builder, flags_of("directory", builder, tmp_path))
    context = builder.context("FROM TINY\nCOPY . /src", a="A")
    cached.build()
    change(context)
    assert cached.build().ran == ["COPY . /src"]


def test_what_is_ignored_does_not_count(builder, tmp_path):
    cached = Cached(builder, flags_of("directory", builder, tmp_path))
    context = builder.context("FROM TINY\nCOPY . /src\nRUN --mount=type=bind,target=/c ls /c > /list", a="A")
    (context / ".dockerignore").write_text("*.log\nDockerfile\n.dockerignore\n")
    cached.build()
    (context / "noise.log").write_text("x")
    assert cached.build().ran == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ARG V=1\nRUN echo > /x", "ARG V=2\nRUN echo > /x"),
        ("ENV V=1\nRUN echo > /x", "ENV V=2\nRUN echo > /x"),
        ("USER 1\nRUN id > /tmp/x", "USER 2\nRUN id > /tmp/x"),
        ("WORKDIR /a\nRUN pwd > /x", "WORKDIR /b\nRUN pwd > /x"),
        ("RUN --network=none true", "RUN true"),
        ('SHELL ["/bin/sh", "-c"]\nRUN true', 'SHELL ["/bin/sh", "-ec"]\nRUN true'),
        ("COPY --chown=1 a /x", "COPY --chown=2 a /x"),
        ("COPY --chmod=600 a /x", "COPY --chmod=644 a /x"),
        ("RUN <<EOF\necho 1 > /x\nEOF", "RUN <<EOF\necho 2 > /x\nEOF"),
        ("RUN --mount=type=tmpfs,target=/t df /t > /x", "RUN --mount=type=cache,target=/t df /t > /x"),
    ],
)
def test_what_a_step_depends_on_is_in_its_key(builder, tmp_path, one, other):
    cached = Cached(builder, flags_of("directory", builder, tmp_path))
    builder.context(f"FROM TINY\n{one}", a="A")
    assert cached.build().status == 0
    builder.context(f"FROM TINY\n{other}", a="A")
    second = cached.build()
    assert second.ran, second
    assert second.ran[-1] == other.splitlines()[-1] or "<<EOF" in other


def test_what_a_step_does_not_depend_on_is_not(cached):
    cached.builder.context("# one\nFROM TINY AS a\nLABEL v=1\nARG UNUSED\nRUN echo > /x")
    cached.build()
    cached.builder.context("# two\n\nFROM TINY AS b\nLABEL v=2\nCMD true\nARG UNUSED\nRUN  echo > /x")
    second = cached.build("--build-arg", "HTTP_PROXY=http://proxy.example")
    assert second.ran == []
    assert cached.builder.built().config.config.labels == {"v": "2"}


def test_a_change_that_makes_no_difference_costs_one_step(full):
    full.builder.context("FROM TINY\nRUN test -e /bin\nRUN echo 1 > /1\nRUN echo 2 > /2")
    full.build()
    full.builder.context("FROM TINY\nRUN test -d /bin\nRUN echo 1 > /1\nRUN echo 2 > /2")
    second = full.build()
    assert second.ran == ["RUN test -d /bin"]
    assert second.cached == ["RUN echo 1 > /1", "RUN echo 2 > /2"]


def test_a_stage_whose_files_turn_out_equal_changes_nothing(full):
    text = "FROM TINY AS made\nRUN echo {} > /log; echo out > /out\nFROM TINY\nCOPY --from=made /out /out\nRUN cat /out > /b"
    full.builder.context(text.format(1))
    first = full.build()
    full.builder.context(text.format(2))
    second = full.build()
    assert second.ran == ["RUN echo 2 > /log; echo out > /out"]
    assert second.digest == first.digest


def test_a_stage_that_nobody_reads_any_more_does_not_run(full):
    """Its own entries are not even needed: the copy from it is cached."""
    full.builder.context("FROM TINY AS made\nRUN echo out > /out\nFROM TINY\nCOPY --from=made /out /out")
    full.build()
    second = full.build("--no-cache-filter", "made")
    assert second.ran == []


def test_linked_copies_do_not_depend_on_lower_layers(full):
    full.builder.context("FROM TINY\nRUN echo 1 > /1\nCOPY --link a /a", a="A")
    full.build()
    full.builder.context("FROM TINY\nRUN echo 2 > /1\nCOPY --link a /a", a="A")
    second = full.build()
    assert second.ran == ["RUN echo 2 > /1"]
    assert holds(full.builder, "/a", "A")


def test_no_cache_runs_everything_and_keeps_it(full):
    full.builder.context("FROM TINY\nRUN date +%N > /now")
    first = full.build()
    second = full.build("--no-cache")
    assert second.ran == ["RUN date +%N > /now"]
    assert second.digest != first.digest
    assert full.build().digest == second.digest


def test_no_cache_filter_runs_one_stage(full):
    full.builder.context("FROM TINY AS one\nRUN echo 1 > /1\nFROM one AS two\nRUN echo 2 > /2")
    full.build()
    assert full.build("--no-cache-filter", "two").ran == ["RUN echo 2 > /2"]
    assert full.build("--no-cache-filter", "one").ran[0] == "RUN echo 1 > /1"
    refused = full.builder.run(*full.flags, "--no-cache-filter", "three")
    assert refused.returncode == 2
    assert "stages: one, two" in refused.stderr


def test_a_step_that_fails_does_not_lose_those_before_it(full):
    full.builder.context("FROM TINY\nRUN echo 1 > /1\nRUN false")
    assert full.build().status == 7
    full.builder.context("FROM TINY\nRUN echo 1 > /1\nRUN true")
    second = full.build()
    assert second.cached == ["RUN echo 1 > /1"]
    assert second.ran == ["RUN true"]


def test_another_compression_is_another_layer(full):
    full.builder.context("FROM TINY\nRUN echo 1 > /1")
    full.build()
    assert full.build("--compression", "zstd").ran == ["RUN echo 1 > /1"]


def test_secrets_are_in_no_key_and_in_no_cache(builder, tmp_path):
    cached = Cached(builder, flags_of("directory", builder, tmp_path))
    builder.context("FROM TINY\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s > /size")
    cached.build("--secret", "id=s,env=S", S="hunter2-one")
    assert cached.build("--secret", "id=s,env=S", S="hunter2-two").ran == []
    found = subprocess.run(["grep", "-r", "hunter2", tmp_path / "cache"], capture_output=True)
    assert found.returncode == 1, found.stdout


def test_old_results_in_a_repository_are_not_used(builder, tmp_path):
    cached = Cached(builder, flags_of("repository", builder, tmp_path))
    builder.context("FROM TINY\nRUN sleep 1; echo 1 > /1\nRUN sleep 2")
    cached.build()
    assert cached.build("--cache-ttl", "1s").ran[0] == "RUN sleep 1; echo 1 > /1"
    assert cached.build("--cache-ttl", "1h").ran == []


def test_a_repository_may_be_read_only(builder, tmp_path):
    cached = Cached(builder, flags_of("repository", builder, tmp_path))
    builder.context("FROM TINY\nRUN echo 1 > /1")
    cached.build("--no-push-cache")
    assert cached.build().ran == ["RUN echo 1 > /1"]
    assert cached.build("--no-push-cache").ran == []


def test_a_cache_that_cannot_be_reached_costs_a_warning(builder):
    builder.context("FROM TINY\nRUN echo 1 > /1")
    done = outcome(builder.run("--cache-repo", "localhost:1/cache", "--log-format", "json", timeout=300))
    assert done.status == 0
    (warning,) = done.warnings
    assert "the cache localhost:1/cache failed; the build goes on without" in warning
    assert holds(builder, "/1", "1\n")


def test_a_layout_in_the_context_is_no_part_of_it(builder, tmp_path):
    """As where a CI system keeps nothing from job to job but what is in the checkout."""
    context = builder.context("FROM TINY\nCOPY . /all")
    cached = Cached(builder, ["--cache-repo", f"oci:{context}/cache"])
    first, second = cached.build(), cached.build()
    assert (len(first.ran), second.ran, second.digest) == (1, [], first.digest)
    assert [path for path in builder.built().paths if "cache" in path] == []


@pytest.mark.parametrize(
    ("repository", "problem"),
    [
        ("oci:", "names no directory"),
        ("oci://registry.example/cache", "names no directory"),
        ("oci:/etc", "it is no OCI image layout, and not empty"),
        ("oci:/etc/passwd", "Not a directory"),
    ],
)
def test_what_can_be_no_layout_is_refused(builder, repository, problem):
    builder.context("FROM TINY\nRUN true")
    done = builder.run("--cache-repo", repository)
    assert (done.returncode, problem in done.stderr) == (2, True), done.stderr


def test_a_directory_does_not_grow_beyond_its_limit(builder, tmp_path):
    cached = Cached(builder, flags_of("directory", builder, tmp_path))
    for number in range(4):
        builder.context(f"FROM TINY\nRUN head -c 3000000 /dev/urandom > /x{number}")
        assert cached.build("--cache-max-size", "9MB").status == 0
    blobs = [p.stat().st_size for p in (tmp_path / "cache/blobs").iterdir()]
    assert 0 < sum(blobs) <= 9_000_000
    assert cached.build("--cache-max-size", "9MB").ran == []  # the last one is still there


@pytest.mark.parametrize("kind", ["directory", "layout"])
def test_builds_share_a_directory(builder, tmp_path, kind):
    builder.context("FROM TINY\nRUN echo 1 > /1\nRUN echo 2 > /2")
    flags = flags_of(kind, builder, tmp_path)
    together = [builder.start(*flags) for _ in range(3)]
    logs = [each.communicate(timeout=240)[1] for each in together]
    assert [each.returncode for each in together] == [0, 0, 0], logs
    assert Cached(builder, flags).build().ran == []
