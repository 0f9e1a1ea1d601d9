"""Contexts that a registry has as artifacts, in the forms of ORAS and of Flux."""

from __future__ import annotations

import gzip
import uuid
from pathlib import Path

import pytest

from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Index
from strake_oci.spec.reference import Reference
from tests.fixtures.content.artifacts import FLUX, TITLE, Layer, archive, push_artifact


@pytest.fixture
def push(builder):
    """Push an artifact of layers; return its reference and digest."""

    def pushed(*layers: Layer, as_index: int = 0, **config: Descriptor) -> tuple[str, str]:
        reference = Reference.parse(f"{builder.registry.host}/context/{uuid.uuid4().hex}:1")
        with builder.registry.client() as client:
            found = push_artifact(client, reference, *layers, **config)
            if as_index:
                index = Index((found,) * as_index)
                client.push_manifest(reference, index.serialize(), index.media_type)
        return str(reference), str(found.digest)

    return pushed


DOCKERFILE = "FROM scratch\nCOPY . /\n"


def test_flux_and_a_digest(builder, push):
    reference, digest = push((FLUX, gzip.compress(archive({"Dockerfile": DOCKERFILE, "a/b": "b\n"})), {}))
    repository = reference.rpartition(":")[0]
    for context in (reference, f"{repository}@{digest}"):
        done = builder.run("--context", f"oci://{context}")
        assert done.returncode == 0, done.stderr
        assert builder.built().paths["/a/b"]["size"] == 2
        assert f"   {context}: fetched " in done.stderr


def test_oras_with_a_directory_and_files_and_a_named_context(builder, push):
    layer = (
        mediatype.OCI_LAYER,
        archive({"app/motd": "hi\n"}),
        {TITLE: "app", "io.deis.oras.content.unpack": "true"},
    )
    plain = (mediatype.OCI_LAYER, b"text\n", {TITLE: "notes.txt"})
    reference, _ = push(layer, plain, as_index=1)
    builder.context("FROM lib\nCOPY --from=lib app/motd /again\n")
    done = builder.run("--build-context", f"lib=oci://{reference}")
    assert done.returncode == 0, done.stderr
    paths = builder.built().paths
    assert (paths["/app/motd"]["size"], paths["/again"]["size"]) == (3, 3)
    assert (paths["/notes.txt"]["size"], paths["/notes.txt"]["mode"]) == (5, "0644")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ((FLUX, b"no archive", {}), "that is no archive and has no name"),
        ((FLUX, b"text", {TITLE: "../../etc/x"}), "which is no file's name"),
        ((FLUX, b"text", {TITLE: "a/b"}), "which is no file's name"),
        ((FLUX, gzip.compress(archive({"a": "x\n"}))[:-9], {}), "cannot unpack the context"),
        ((FLUX, archive({"x": "->/etc", "x/passwd": "x\n"}), {}), None),
    ],
    ids=["no archive", "outside", "below", "cut", "link"],
)
def test_hostile_layers(builder, push, layer, words):
    accounts = Path("/etc/passwd").read_bytes()
    reference, _ = push((FLUX, archive({"Dockerfile": DOCKERFILE}), {}), layer)
    done = builder.run("--context", f"oci://{reference}")
    assert Path("/etc/passwd").read_bytes() == accounts
    if words is None:  # inside the context, wherever the link says
        assert done.returncode == 0, done.stderr
        assert builder.built().paths["/etc/passwd"]["size"] == 2
        return
    assert done.returncode == 4, done.stderr
    assert words in done.stderr


def test_what_is_no_context(builder, push):
    layer: Layer = (mediatype.OCI_LAYER, archive({"a": "x\n"}), {})
    image, _ = push(layer, config=Descriptor.of(mediatype.OCI_CONFIG, b"{}"))
    several, _ = push(layer, as_index=2)
    missing = f"{builder.registry.host}/context/nothing:1"
    for reference, words in (
        (image, "is an image, not an artifact"),
        (several, "is an index of several manifests"),
        (missing, f"cannot pull {missing}"),
        ("a b", "cannot pull a b"),
    ):
        done = builder.run("--context", f"oci://{reference}")
        assert done.returncode == 4, done.stderr
        assert words in done.stderr
