"""The forms of --build-context."""

from __future__ import annotations

import pytest

from strake_api.models.source import (
    BucketSource,
    DirectorySource,
    GitSource,
    HTTPSource,
    LayoutImage,
    OCISource,
    Source,
)
from strake_builder.cli.contexts.named import read_named_contexts
from strake_builder.errors import InvalidRequestError

DIGEST = f"sha256:{'b' * 64}"


def read(value: str):
    (context,) = read_named_contexts([f"lib={value}"])
    assert context.name == "lib"
    return context


def test_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for text in ("sub", "./sub", str(tmp_path / "sub"), f"dir://{tmp_path}/sub"):
        assert read(text).source == Source(directory=DirectorySource(path=str(tmp_path / "sub")))


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        ("docker-image://alpine:3", "alpine:3"),
        ("docker-image://scratch", "scratch"),
        (f"docker-image://registry.example:5000/a/b@{DIGEST}", f"registry.example:5000/a/b@{DIGEST}"),
    ],
)
def test_image(value, reference):
    assert read(value).image == reference


@pytest.mark.parametrize(
    ("value", "layout"),
    [
        ("oci-layout:///a/b", LayoutImage(path="/a/b")),
        ("oci-layout:///a/b:v1", LayoutImage(path="/a/b", tag="v1")),
        (f"oci-layout:///a/b@{DIGEST}", LayoutImage(path="/a/b", digest=DIGEST)),
        (f"oci-layout:///a/b:v1@{DIGEST}", LayoutImage(path="/a/b", tag="v1", digest=DIGEST)),
    ],
)
def test_layout(value, layout):
    assert read(value).layout == layout


def test_repository_is_without_gits_own_directory_unless_asked():
    found = read("https://git.example/lib.git#v1:src")
    wanted = GitSource(url="https://git.example/lib.git", ref="v1", path="src", keep_git_dir=False)
    assert found.source == Source(git=wanted)
    assert read("https://git.example/lib.git?keep-git-dir=1").source.git.keep_git_dir
    assert read("git@git.example:lib.git").source.git.url == "git@git.example:lib.git"


def test_web_address_is_one_file():
    wanted = HTTPSource(url="https://web.example/x.tgz", unpacked=False)
    assert read("https://web.example/x.tgz").source == Source(http=wanted)


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/lib.tgz", "gs://bucket/lib.tgz", "https://account.blob.core.windows.net/box/lib.tgz"],
)
def test_archive_in_a_bucket(url):
    assert read(url).source == Source(bucket=BucketSource(url=url))


def test_blob_with_a_signature_of_its_own_is_one_file():
    url = "https://account.blob.core.windows.net/box/lib.tgz?sv=1&sig=x"
    assert read(url).source == Source(http=HTTPSource(url=url, unpacked=False))


def test_artifact():
    assert read("oci://r.example/app:1").source == Source(oci=OCISource(reference="r.example/app:1"))


def test_last_of_one_name_counts_however_it_is_spelled():
    texts = [
        "alpine=docker-image://one",
        "x=docker-image://x",
        "docker.io/library/alpine:latest=docker-image://2",
    ]
    assert [each.image for each in read_named_contexts(texts)] == ["x", "2"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lib", "write NAME=VALUE; VALUE is a directory, a git URL"),
        ("=x", "is not understood"),
        ("lib=", "is not understood"),
        ("lib=/not/there", "is no directory here .write lib= and a directory, a git URL"),
        ("lib=target:base", "a target is another image of a bake file"),
        ("lib=ftp://bucket/x", "is no directory here .write lib= and a directory"),
        ("Lib=docker-image://x", "repository names are lower-case"),
        ("lib=oci-layout://", "has no directory"),
        ("lib=oci-layout:///a@sha256:12", "sha256"),
    ],
)
def test_what_is_refused(text, complaint):
    with pytest.raises(InvalidRequestError, match=complaint):
        read_named_contexts([text])
