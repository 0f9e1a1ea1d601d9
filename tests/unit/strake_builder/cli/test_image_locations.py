"""What `strake copy` takes for an image location, and what it says of everything else."""

from __future__ import annotations

import pytest

from strake_builder.cli.image_locations import check_destination, parse_location
from strake_builder.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("text", "kind", "path", "name"),
    [
        ("oci:out", "oci", "out", ""),
        ("oci:/a/b:1.2", "oci", "/a/b", "1.2"),
        ("oci-archive:a.tar:1", "oci-archive", "a.tar", "1"),
        ("docker-archive:a.tar:reg.io:5000/app:1", "docker-archive", "a.tar", "reg.io:5000/app:1"),
    ],
)
def test_directories_and_files(text, kind, path, name):
    location = parse_location(text)
    assert (location.kind, location.path, location.name) == (kind, path, name)
    assert str(location) == text
    assert not location.registry


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("docker://ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("localhost:5000/oci:1", "localhost:5000/oci:1"),
        ("docker.io/library/oci:1", "docker.io/library/oci:1"),
    ],
)
def test_images_in_registries(text, shown):
    assert str(parse_location(text)) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("oci:", "write oci:DIR"),
        ("docker-archive::name", "write docker-archive:FILE:IMAGE"),
        ("A/B", "lower-case"),
        ("", "name an image, or write oci:DIR"),
        ("dir:/tmp/x", "name an image, or write oci:DIR"),
        ("https://ghcr.io/a", "name an image"),
    ],
)
def test_what_is_no_location(text, words):
    with pytest.raises(InvalidRequestError) as raised:
        parse_location(text)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.io/b@sha256:" + "0" * 64, "name a tag"),
        ("docker-archive:a.tar", "write docker-archive:FILE:IMAGE"),
    ],
)
def test_what_is_no_destination(text, words):
    with pytest.raises(InvalidRequestError) as raised:
        check_destination(parse_location(text))
    assert words in str(raised.value)
