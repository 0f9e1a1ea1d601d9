import pytest

from strake_oci.errors import InvalidReferenceError
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Reference, Repository

SHA = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("alpine", "docker.io/library/alpine", "alpine"),
        ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
        ("team/app", "docker.io/team/app", "team/app"),
        ("index.docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("docker.io/library/alpine", "docker.io/library/alpine", "alpine"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"),
        ("ghcr.io/team/app@" + SHA, "ghcr.io/team/app@" + SHA, "ghcr.io/team/app@" + SHA),
        ("app:1@" + SHA, "docker.io/library/app:1@" + SHA, "app:1@" + SHA),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        ("Upper/app", "Upper/app", "Upper/app"),
        ("a__b/c-d.e--f", "docker.io/a__b/c-d.e--f", "a__b/c-d.e--f"),
    ],
)
def test_names_are_normalised_as_docker_does(text, full, familiar):
    reference = Reference.parse(text)
    assert str(reference) == full
    assert reference.familiar == familiar
    assert Reference.parse(full) == reference == Reference.parse(familiar)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not an image reference"),
        ("Alpine", "lower-case"),
        ("a:", "is not a tag"),
        ("a:-x", "is not a tag"),
        ("a:" + "x" * 129, "128"),
        ("a@sha256:abc", "hexadecimal"),
        ("a@md5:" + "a" * 32, "not supported"),
        ("a@" + SHA.upper(), "not supported"),
        ("a//b", "not a repository name"),
        ("a/", "not a repository name"),
        ("/a", "not a repository name"),
        ("a___b", "not a repository name"),
        ("a b", "not a repository name"),
        ("a\n", "not a repository name"),
        ("https://ghcr.io/a", "not a re"),
        ("-host.com/a", "not a registry host"),
        ("a" * 64, "image ID"),
        ("host.com/" + "a" * 256, "at most 255"),
        ("host.com:port/a", "not a registry host"),
        ("../../etc/passwd", "not a registry host"),
        ("ex.com/a/../b", "not a repository name"),
    ],
)
def test_what_is_no_reference_says_why(text, words):
    with pytest.raises(InvalidReferenceError, match=words):
        Reference.parse(text)


def test_default_tag_is_made_up_only_where_there_is_none():
    assert str(Reference.parse("a").with_default_tag()) == "docker.io/library/a:latest"
    assert Reference.parse("a:1").with_default_tag() == Reference.parse("a:1")
    assert Reference.parse("a@" + SHA).with_default_tag() == Reference.parse("a@" + SHA)


def test_digest_decides_what_is_asked_for():
    assert Reference.parse("a:1@" + SHA).identifier == SHA
    assert Reference.parse("a:1").identifier == "1"
    assert Reference.parse("a").identifier == "latest"


def test_repository_makes_references():
    repository = Repository("ghcr.io", "team/app")
    assert str(repository.tag("1")) == "ghcr.io/team/app:1"
    assert str(repository.at(Digest.parse(SHA))) == "ghcr.io/team/app@" + SHA
