"""What the flags about caches mean, and which are refused."""

from __future__ import annotations

import argparse

import pytest

from strake_api.requests.build import Cache
from strake_builder.cli.flags.cache import add_cache_flags, cache_layout, read_cache, read_cache_limit
from strake_builder.errors import InvalidRequestError


def parsed(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_cache_flags(parser)
    return parser.parse_args(flags)


def read(*flags: str, base: Cache | None = None) -> Cache:
    return read_cache(parsed(*flags), ("registry.example:5000/team/app:1.2",), base or Cache())


def test_without_flags_there_is_no_cache():
    assert read() == Cache()
    assert Cache().repository is None


@pytest.mark.parametrize("flag", ["--cache", "--cache=true"])
def test_kanikos_cache_goes_beside_the_destination(flag):
    assert read(flag).repository == "registry.example:5000/team/app/cache"


def test_kanikos_cache_goes_where_a_flag_says():
    assert read("--cache=true", "--cache-repo", "r.example/c").repository == "r.example/c"
    assert read("--cache=true", "--cache-dir", "/c").repository is None


@pytest.mark.parametrize("path", ["/none/cache", "///none/cache", "none/cache", "/none/cache:1"])
def test_a_layout_is_a_directory_in_place_of_a_repository(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ("--cache=true", f"--cache-repo=oci:{path}")
    expected = f"{tmp_path}/none/cache" if path == "none/cache" else path.replace("///", "/")
    assert cache_layout(parsed(*flags)) == expected
    assert read(*flags, base=Cache(enabled=False, repository="r.example/c")) == Cache()


@pytest.mark.parametrize("value", ["oci:", "oci://r.example/cache", "oci:/etc", "oci:/etc/passwd"])
def test_what_can_be_no_layout_is_refused(value):
    with pytest.raises(InvalidRequestError, match="--cache-repo"):
        read("--cache-repo", value)


@pytest.mark.parametrize(
    "flags",
    [["--cache-dir", "/c"], ["--cache-repo", "r.example/c"], ["--cache-from", "a:1"], ["--cache"]],
    ids=str,
)
def test_flags_go_before_a_manifest_without_a_cache(flags):
    off = Cache(enabled=False)
    assert read(base=off).enabled is False
    assert read(*flags, base=off).enabled is True
    assert read("--cache=false", "--cache-dir", "/c", base=off).enabled is False


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("336h", 1_209_600), ("90m", 5400), ("1h30m", 5400), ("14d", 1_209_600), ("5s", 5), ("1.5h", 5400)],
)
def test_a_ttl_is_a_duration(text, seconds):
    assert read("--cache-ttl", text).ttl_seconds == seconds


@pytest.mark.parametrize("text", ["", "0h", "soon", "5", "-1h", "1h 2m"])
def test_a_ttl_that_is_none_is_refused(text):
    with pytest.raises(InvalidRequestError, match="is no duration"):
        read(f"--cache-ttl={text}")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("20GiB", 20 << 30),
        ("500MB", 500_000_000),
        ("1k", 1000),
        ("7", 7),
        ("2Ti", 2 << 40),
        ("5 MiB", 5 << 20),
    ],
)
def test_a_limit_is_a_size(text, size):
    assert read_cache_limit(parsed("--cache-max-size", text)) == size


@pytest.mark.parametrize("text", ["", "much", "1.5GB", "-1", "1PB"])
def test_a_limit_that_is_none_is_refused(text):
    with pytest.raises(InvalidRequestError, match="is no size"):
        read_cache_limit(parsed(f"--cache-max-size={text}"))


def test_what_becomes_of_cache_mounts():
    assert (read().mounts, read().mount_limit) == (True, 2 << 30)
    assert read("--no-cache-mounts").mounts is False
    assert read("--cache-mounts-max-size", "500MB").mount_limit == 500_000_000
    base = Cache(mounts=False, mount_limit=5)
    assert read(base=base) == base


@pytest.mark.parametrize(("text", "words"), [("much", "is no size"), ("0", "leaves no room")])
def test_a_limit_of_mounts_that_is_none_is_refused(text, words):
    with pytest.raises(InvalidRequestError, match=words):
        read("--cache-mounts-max-size", text)


def test_flags_that_contradict_each_other_are_refused():
    with pytest.raises(InvalidRequestError, match="contradicts"):
        read("--cache=false", "--cache-repo", "r.example/c")


def test_a_manifest_holds_where_no_flag_says_anything():
    base = Cache(repository="r.example/c", inline=True, ttl_seconds=5)
    assert read(base=base) == base
    assert read("--cache-ttl", "1h", "--no-cache", base=base) == Cache(
        repository="r.example/c", inline=True, ttl_seconds=3600, reads=False
    )


def test_stages_may_be_given_together_or_apart():
    assert read("--no-cache-filter", "a,b", "--no-cache-filter", "2").fresh_stages == ("a", "b", "2")
