"""Caches that lie, rot or are emptied: a build never fails for it, and the image is never a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strake_oci.spec.reference import Reference
from tests.faults import faults
from tests.faults.registry import FaultyRegistry
from tests.fixtures.building.builds import Builder
from tests.fixtures.building.cached_builds import Cached, Outcome, flags_of, holds

TEXT = "FROM TINY\nRUN echo 1 > /1\nRUN echo 2 > /2"
AFTER = f"{TEXT}\nRUN cat /1 /2 > /3"


@pytest.fixture
def directory(builder, tmp_path):
    """A builder whose cache directory has the steps of TEXT."""
    cached = Cached(builder, flags_of("directory", builder, tmp_path))
    builder.context(TEXT)
    cached.build()
    return cached


@pytest.fixture
def repository(builder, tmp_path):
    """A builder whose cache repository has the steps of TEXT."""
    cached = Cached(builder, flags_of("repository", builder, tmp_path))
    builder.context(TEXT)
    cached.build()
    return cached


def is_right(builder: Builder) -> bool:
    return holds(builder, "/1", "1\n") and holds(builder, "/2", "2\n")


def blobs(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache/blobs").iterdir())


def elsewhere(cached: Cached) -> Outcome:
    """Build to a repository that has none of the blobs yet."""
    other = Builder(cached.builder.registry, cached.builder.directory, f"{cached.builder.name}/else")
    return Cached(other, cached.flags).build()


def test_a_blob_that_was_cut_is_a_miss(directory, tmp_path):
    for blob in blobs(tmp_path):
        blob.write_bytes(blob.read_bytes()[:-3])
    again = directory.build()
    assert (again.status, len(again.ran)) == (0, 2)
    assert any("has" in warning and "bytes, not" in warning for warning in again.warnings), again.warnings
    assert is_right(directory.builder)


def test_a_blob_that_rotted_is_found_out_when_it_is_pushed(directory, tmp_path):
    for blob in blobs(tmp_path):
        rot(blob)
    again = elsewhere(directory)
    assert again.status == 0, again
    assert [w for w in again.warnings if "is broken; its step runs again" in w]
    assert is_right(Builder(directory.builder.registry, tmp_path, f"{directory.builder.name}/else"))


def test_a_blob_that_rotted_is_found_out_when_it_is_built_upon(directory, tmp_path):
    for blob in blobs(tmp_path):
        rot(blob)
    for layer in (tmp_path / "cache/layers").iterdir():
        layer.rename(tmp_path / layer.name)  # nothing is unpacked any more
    directory.builder.context(AFTER)
    again = directory.build()
    assert again.status == 0, again
    assert is_right(directory.builder)
    assert holds(directory.builder, "/3", "1\n2\n")


def rot(blob: Path) -> None:
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 0xFF
    blob.unlink()  # it may be linked to from elsewhere
    blob.write_bytes(data)


@pytest.mark.parametrize("flags", [[], ["--reproducible"]], ids=["another layer", "the same layer"])
def test_a_broken_layer_is_not_used_a_second_time(builder, tmp_path, flags):
    first = Cached(builder, [*flags_of("directory", builder, tmp_path), *flags])
    builder.context(TEXT)
    first.build()
    for blob in blobs(tmp_path):
        rot(blob)
    assert len(elsewhere(first).ran) == 2
    third = Builder(builder.registry, tmp_path, f"{builder.name}/third")
    after = Cached(third, first.flags).build()
    assert (after.ran, after.warnings) == ([], [])


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b"null", b'{"schemaVersion": 2}', b"\xff" * 100])
def test_a_record_that_is_none_is_a_miss(directory, tmp_path, record):
    for path in (tmp_path / "cache/steps").glob("*/*"):
        path.write_bytes(record)
    again = directory.build()
    assert (again.status, len(again.ran)) == (0, 2)
    assert is_right(directory.builder)
    assert directory.build().ran == []


def test_a_record_of_another_step_is_a_miss(directory, tmp_path):
    paths = sorted((tmp_path / "cache/steps").glob("*/*"))
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)
    assert directory.build().status == 0
    assert is_right(directory.builder)


def test_a_directory_that_is_emptied_is_empty(directory, tmp_path):
    for blob in blobs(tmp_path):
        blob.unlink()
    again = directory.build()
    assert (len(again.ran), again.warnings) == (2, [])


def test_a_directory_that_cannot_be_one_is_refused(builder, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/steps").write_text("no directory")
    builder.context(TEXT)
    done = builder.run("--cache-dir", str(tmp_path / "cache"))
    assert done.returncode == 2, done.stderr
    assert "cannot use the cache directory" in done.stderr
    assert "--cache-dir" in done.stderr


@pytest.mark.parametrize("index", [b"", b"{", b'{"schemaVersion": 2, "manifests": []}'])
def test_a_layout_whose_index_is_lost_costs_the_cache(builder, tmp_path, index):
    cached = Cached(builder, flags_of("layout", builder, tmp_path))
    builder.context(TEXT)
    cached.build()
    (tmp_path / "layout/index.json").write_bytes(index)
    again = cached.build()
    assert (again.status, len(again.ran)) == (0, 2)
    assert is_right(builder)


def test_a_blob_of_a_layout_that_rotted_is_found_out(builder, tmp_path):
    cached = Cached(builder, flags_of("layout", builder, tmp_path))
    builder.context(TEXT)
    cached.build()
    for blob in (tmp_path / "layout/blobs/sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            rot(blob)
    again = elsewhere(cached)
    assert again.status == 0, again
    assert [w for w in again.warnings if "is broken; its step runs again" in w]
    assert is_right(Builder(builder.registry, tmp_path, f"{builder.name}/else"))
    third = Cached(Builder(builder.registry, tmp_path, f"{builder.name}/third"), cached.flags).build()
    assert (third.ran, third.warnings) == ([], [])


def tags(cached: Cached) -> list[str]:
    with cached.builder.registry.client() as client:
        return list(client.tags(cached.builder.registry.repository(f"{cached.builder.name}/cache")))


def test_an_image_under_the_tag_of_a_step_is_a_miss(repository):
    """Those who can push to a cache repository can put anything under a tag."""
    target = repository.builder.registry.repository(f"{repository.builder.name}/cache")
    source = Reference.parse(repository.builder.destination)
    with repository.builder.registry.client() as client:
        descriptor, image = client.manifest(source.repository, source.tag)
        for reference in json.loads(image)["layers"] + [json.loads(image)["config"]]:
            copy(client, source, target, reference)
        for tag in tags(repository):
            client.push_manifest(Reference(target, tag=tag), image, descriptor.media_type)
    again = repository.build()
    assert (again.status, len(again.ran)) == (0, 2)
    assert [w for w in again.warnings if "it is no cached step" in w]
    assert is_right(repository.builder)


def copy(client, source, target, reference) -> None:
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest

    descriptor = Descriptor(reference["mediaType"], Digest.parse(reference["digest"]), reference["size"])
    client.copy_blob(source.repository, target, descriptor)


def test_an_entry_that_lies_about_its_layer_is_found_out(repository):
    """The layer of one step under the diff ID of another, in a manifest that is sound otherwise."""
    target = repository.builder.registry.repository(f"{repository.builder.name}/cache")
    with repository.builder.registry.client() as client:
        entries = {tag: client.manifest(target, tag) for tag in tags(repository)}
        layers = {
            json.loads(data)["layers"][0]["digest"]: json.loads(data)["layers"]
            for _, data in entries.values()
        }
        first, second = layers.values()
        for tag, (descriptor, data) in entries.items():
            document = json.loads(data)
            document["layers"] = second if document["layers"] == first else first
            changed = json.dumps(document).encode()
            client.push_manifest(Reference(target, tag=tag), changed, descriptor.media_type)
    repository.builder.context(AFTER)
    again = repository.build()
    assert again.status == 0, again
    assert is_right(repository.builder)
    assert holds(repository.builder, "/3", "1\n2\n")
    assert [w for w in again.warnings if "is broken; its step runs again" in w]


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(404, "BLOB_UNKNOWN", method="GET", path="/blobs/", times=10**9),
        faults.send(b"x" * 100, path="/blobs/"),
    ],
    ids=["gone", "another"],
)
def test_an_entry_whose_layer_cannot_be_had_is_found_out(builder, tmp_path, fault):
    """As a registry's garbage collection may leave it; the destination is another one, so it must be read."""
    with FaultyRegistry() as registry:
        flags = ["--cache-repo", f"{registry.host}/cache", "--insecure-registry", registry.host]
        cached = Cached(builder, flags)
        builder.context(TEXT)
        cached.build()
        registry.add(fault)
        again = elsewhere(cached)
    assert again.status == 0, again
    assert len(again.ran) == 2
    assert is_right(Builder(builder.registry, tmp_path, f"{builder.name}/else"))


STEP = (
    "RUN --mount=type=cache,target=/c --mount=from=other,source=/etc/passwd,target=/m "
    "test -e /c/it || echo good > /c/it; cp /c/it /it"
)
"""It reads a file of another stage, which is the same with and without the attack: so it runs after that stage."""


@pytest.mark.parametrize("only_reads", [False, True])
def test_a_build_that_only_reads_leaves_nothing_for_others(builder, tmp_path, only_reads):
    """The content of a cache mount is in no key, so a build that may write decides what others get."""
    flags = flags_of("repository", builder, tmp_path)
    other = "FROM TINY AS other\n"
    evil = f"{other}RUN --mount=type=cache,target=/c echo EVIL > /c/it\n"
    builder.context(f"{evil}FROM TINY\n{STEP}\n")
    attack = Cached(builder, flags).build(*(["--no-push-cache"] if only_reads else []))
    assert attack.status == 0
    assert holds(builder, "/it", "EVIL\n")
    victim = Builder(builder.registry, builder.directory, f"{builder.name}/victim")
    victim.context(f"{other}FROM TINY\n{STEP}\n")
    assert Cached(victim, flags).build().status == 0
    assert holds(victim, "/it", "good\n" if only_reads else "EVIL\n")
