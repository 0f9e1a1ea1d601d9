"""Manifests, indexes and image configs: what is read is written again."""

import json

import pytest

from strake_oci.errors import DigestMismatchError, InvalidDocumentError, SizeExceededError, SizeMismatchError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.image import History, ImageConfig, RuntimeConfig, timestamp
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.platform import Platform

SHA = "sha256:" + "a" * 64


def test_manifest_comes_back_with_all_its_fields():
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "artifactType": "application/x-thing",
        "config": {"mediaType": mediatype.OCI_EMPTY, "digest": SHA, "size": 2, "data": "e30="},
        "layers": [
            {"mediaType": "x/y", "digest": SHA, "size": 0, "urls": ["https://x"], "annotations": {"a": "b"}}
        ],
        "subject": {"mediaType": "x/y", "digest": SHA, "size": 3},
        "annotations": {"k": "v"},
        "newField": [1, {"deep": None}],
    }
    manifest = parse(json.dumps(document).encode())
    assert isinstance(manifest, Manifest)
    assert json.loads(manifest.serialize()) == document
    assert parse(manifest.serialize()) == manifest


def test_index_comes_back_with_all_its_fields():
    platform = {
        "architecture": "arm",
        "os": "linux",
        "variant": "v7",
        "os.version": "1",
        "os.features": ["f"],
    }
    entry = {"mediaType": mediatype.OCI_MANIFEST, "digest": SHA, "size": 1, "platform": platform}
    document = {"schemaVersion": 2, "mediaType": mediatype.DOCKER_INDEX, "manifests": [entry]}
    index = parse(json.dumps(document).encode(), mediatype.DOCKER_INDEX)
    assert isinstance(index, Index)
    assert json.loads(index.serialize()) == document
    (listed,) = index.manifests
    assert listed.platform == Platform("linux", "arm", "v7", "1", ("f",))
    assert listed.digest == Digest.parse(SHA)


def test_kind_without_media_type_is_told_by_its_fields():
    config = {"mediaType": "x/y", "digest": SHA, "size": 2}
    assert isinstance(
        parse(json.dumps({"schemaVersion": 2, "config": config, "layers": None}).encode()), Manifest
    )
    assert isinstance(
        parse(json.dumps({"schemaVersion": 2, "manifests": None}).encode(), mediatype.OCI_INDEX), Index
    )


def test_contradiction_between_header_and_document():
    index = Index(()).serialize()
    with pytest.raises(InvalidDocumentError, match="was sent as"):
        parse(index, mediatype.OCI_MANIFEST)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 1.0},
        {"size": "1"},
        {"size": True},
        {"size": 2**63},
        {"digest": "x"},
        {"digest": None},
        {"urls": "x"},
    ],
)
def test_descriptor_is_read_strictly(change):
    config = {"mediaType": "x/y", "digest": SHA, "size": 2} | change
    with pytest.raises(InvalidDocumentError):
        parse(json.dumps({"schemaVersion": 2, "config": config, "layers": []}).encode())


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null", b"\xff", b'{"a":' * 1000, b"[" * 100_000, b'"\\ud800"', b"NaN"]
)
def test_json_that_is_none(data):
    with pytest.raises(InvalidDocumentError):
        parse(data)
    with pytest.raises(InvalidDocumentError):
        ImageConfig.parse(data)


def test_documents_have_a_limit():
    with pytest.raises(SizeExceededError):
        parse(b" " * (4 * 1024 * 1024 + 1))


def test_descriptor_checks_bytes():
    descriptor = Descriptor.of("x/y", b"abc")
    descriptor.check(b"abc")
    with pytest.raises(DigestMismatchError):
        descriptor.check(b"abd")
    with pytest.raises(SizeMismatchError):
        descriptor.check(b"ab")


def test_image_config_comes_back_with_all_its_fields():
    document = {
        "created": "2024-01-02T03:04:05.123456789Z",
        "author": "me",
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "config": {
            "User": "1000:1000",
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Env": ["PATH=/bin", "EMPTY=", "B=1"],
            "Entrypoint": ["/init"],
            "Cmd": [],
            "Volumes": {"/data": {}},
            "WorkingDir": "/srv",
            "Labels": {"b": "2", "a": "ü"},
            "StopSignal": "SIGTERM",
            "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5_000_000_000, "Retries": 3, "New": 1},
            "Shell": ["/bin/bash", "-c"],
            "OnBuild": ["RUN x"],
            "ArgsEscaped": True,
            "MacAddress": "02:42",
        },
        "rootfs": {"type": "layers", "diff_ids": [SHA]},
        "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "RUN", "empty_layer": True, "x": 1}],
        "docker_version": "27",
        "moby.buildkit.cache.v0": "e30=",
    }
    image = ImageConfig.parse(json.dumps(document).encode())
    assert json.loads(image.serialize()) == document
    assert ImageConfig.parse(image.serialize()) == image


def test_image_config_as_go_writes_nothing():
    text = (
        b'{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":null,"Entrypoint":null,"Volumes":null,'
        b'"Labels":null,"OnBuild":null,"ExposedPorts":null,"Healthcheck":null},"rootfs":{"type":"layers",'
        b'"diff_ids":null},"history":null}'
    )
    image = ImageConfig.parse(text)
    assert image.config == RuntimeConfig()
    assert (image.diff_ids, image.history) == ((), ())


def test_empty_cmd_is_not_the_same_as_none():
    image = ImageConfig(Platform("linux", "amd64"), RuntimeConfig(cmd=(), entrypoint=None))
    read = ImageConfig.parse(image.serialize())
    assert read.config.cmd == ()
    assert read.config.entrypoint is None


def test_same_config_is_the_same_bytes():
    one = RuntimeConfig(labels={"a": "1", "b": "2"}, volumes=("/b", "/a"))
    two = RuntimeConfig(labels={"b": "2", "a": "1"}, volumes=("/a", "/b"))
    platform = Platform("linux", "amd64")
    assert ImageConfig(platform, one).serialize() == ImageConfig(platform, two).serialize()


def test_env_keeps_its_order_and_its_place():
    config = RuntimeConfig(env=("A=1", "B=2", "AB=3"))
    assert config.with_env("A", "9").env == ("A=9", "B=2", "AB=3")
    assert config.with_env("C", "").env == ("A=1", "B=2", "AB=3", "C=")
    assert config.env_value("B") == "2"
    assert config.env_value("X") is None


def test_timestamp_is_rfc_3339_in_utc():
    from datetime import datetime, timedelta, timezone

    when = datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(when) == "2024-01-02T01:04:05Z"


def test_bad_diff_id():
    document = {"rootfs": {"type": "layers", "diff_ids": ["sha256:x"]}}
    with pytest.raises(InvalidDocumentError, match="image config"):
        ImageConfig.parse(json.dumps(document).encode())


def test_history_of_a_step():
    image = ImageConfig(Platform("linux", "amd64"), history=(History(created_by="RUN x", empty_layer=True),))
    assert json.loads(image.serialize())["history"] == [{"created_by": "RUN x", "empty_layer": True}]


def test_layer_types():
    for compression in mediatype.Compression:
        for docker in (False, True):
            kind = mediatype.layer_type(compression, docker=docker)
            assert mediatype.layer_compression(kind) is compression
            assert mediatype.is_docker(kind) is docker
            assert not mediatype.is_foreign(kind)
    assert mediatype.is_foreign("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    assert not mediatype.is_layer(mediatype.OCI_CONFIG)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", '[{"deep": Infinity}]'])
def test_numbers_that_could_not_be_written_again_are_refused(number):
    index = f'{{"schemaVersion": 2, "mediaType": "{mediatype.OCI_INDEX}", "manifests": [], "x": {number}}}'
    with pytest.raises(InvalidDocumentError, match="infinite"):
        parse(index.encode())
    rootfs = '"rootfs": {"type": "layers", "diff_ids": []}'
    config = f'{{"os": "linux", "architecture": "amd64", {rootfs}, "history": [{{"x": {number}}}]}}'
    with pytest.raises(InvalidDocumentError, match="infinite"):
        ImageConfig.parse(config.encode())
