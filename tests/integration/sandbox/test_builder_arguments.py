"""Build arguments for the builder, as steps see them."""

from __future__ import annotations


def test_a_host_name_is_what_is_given_and_part_of_the_key(builder, tmp_path):
    builder.context("FROM TINY\nRUN hostname; grep -c 'localhost ci-7$' /etc/hosts; true\n")
    flags = ("--no-push", "--cache-dir", tmp_path / "cache")
    assert builder.run(*flags).stderr.count("| buildkitsandbox") == 1
    named = builder.run(*flags, "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=ci-7")
    assert named.stderr.count("| ci-7") == 1, named.stderr
    assert "| 1" in named.stderr
    refused = builder.run(*flags, "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=a b")
    assert refused.returncode == 2
    assert "BUILDKIT_SANDBOX_HOSTNAME='a b' is no host name" in refused.stderr


def test_cache_mounts_of_a_namespace_are_its_own(builder, tmp_path):
    builder.context(
        "FROM TINY\nARG RUN\nRUN --mount=type=cache,target=/c echo $RUN; ls /c; touch /c/$BUILDKIT_CACHE_MOUNT_NS$RUN\n"
    )
    flags = ("--no-push", "--cache-dir", tmp_path / "cache")

    def run(number: str, *more: str) -> str:
        done = builder.run(*flags, "--build-arg", f"RUN={number}", *more)
        assert done.returncode == 0, done.stderr
        return done.stderr

    run("one")
    assert "| one" in run("two")
    assert "| one" not in run("three", "--build-arg", "BUILDKIT_CACHE_MOUNT_NS=team")
    assert "| three" in run("four", "--build-arg", "BUILDKIT_CACHE_MOUNT_NS=team")


def test_what_has_no_effect_is_a_warning(builder):
    builder.context("FROM TINY\n")
    done = builder.run("--no-push", "--build-arg", "BUILDKIT_INLINE_CACHE=1")
    assert "the build argument BUILDKIT_INLINE_CACHE has no effect" in done.stderr
