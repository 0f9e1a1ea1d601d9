"""A build for several platforms as a cluster carries it out: sources, a build a platform, an index."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

import pytest

from strake_oci.attestations import PROVENANCE
from strake_oci.signatures import BOTH
from strake_oci.signatures.attesting import attestation_tag
from strake_oci.signatures.keys import VerificationKey
from strake_oci.signatures.verification import verify_image
from strake_oci.spec import mediatype
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.reference import Reference, Repository
from strake_oci.verify import read_whole
from tests.fixtures.content.artifacts import Layer, archive, push_artifact
from tests.fixtures.narrow import instance
from tests.fixtures.servers.gateway import running_gateway
from tests.integration.gateway.conftest import ACCOUNT, Pod
from tests.integration.gateway.test_signing import output, signature
from tests.unit.strake_oci.signatures.cosign_key import PUBLIC

PLATFORMS = ("linux/amd64", "linux/arm64/v8", "linux/s390x")
DOCKERFILE = "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY Dockerfile /\n"


def write(pod: Pod, kind: str, **fields: object) -> None:
    """Write a request of another kind than a build's."""
    pod.write(DOCKERFILE)
    of_build = json.loads(pod.path.read_text())
    kept = {name: of_build[name] for name in ("registries", "workDirectory")}
    pod.path.write_text(json.dumps({**kept, "kind": kind, **fields}))


def execute(pod: Pod, kind: str, **fields: object) -> dict:
    write(pod, kind, **fields)
    with running_gateway(pod.path, pod.directory):
        return pod.execute()


def build(pod: Pod, platform: str, **named: object) -> dict:
    """Build one platform by digest, through a gateway of its own."""
    pod.write(
        DOCKERFILE, platform=platform, output={**output(pod), "byDigest": True, "reproducible": True, **named}
    )
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert result["outcome"] == "Succeeded", result
    return result


def entry(result: dict, **more: str) -> dict[str, str]:
    return {"platform": result["platform"], "digest": result["digest"], **more}


def index_in(pod: Pod, repository: str, tag: str = "1") -> Index:
    with pod.registry.client(credentials=ACCOUNT) as client:
        reference = Reference.parse(f"{repository}:{tag}")
        return instance(parse(client.manifest(reference.repository, tag)[1]), Index)


@pytest.fixture
def unsigned(monkeypatch):
    """Outputs without a signature."""
    monkeypatch.setattr(
        "tests.integration.gateway.test_parts_of_a_run.output",
        lambda pod, *repositories: {
            "destinations": [f"{each}:1" for each in repositories or [pod.repository]]
        },
    )


@pytest.mark.usefixtures("unsigned")
def test_the_parts_make_what_one_process_makes(pod):
    images = [entry(build(pod, platform)) for platform in PLATFORMS]
    assert pod.digest() is None, "a build moved the tag"

    result = execute(pod, "IndexRequest", images=images, output=output(pod))

    assert result["outcome"] == "Succeeded", result
    assert result["digest"] == pod.digest()
    assert result["images"] == [f"{pod.repository}@{result['digest']}"]
    assert result["references"] == [f"{pod.repository}:1"]
    assert result["platforms"] == images
    assert "isolation" not in result
    pod.write(DOCKERFILE, platform=",".join(PLATFORMS), output={**output(pod), "reproducible": True})
    with running_gateway(pod.path, pod.directory):
        assert pod.execute()["digest"] == result["digest"]


def test_every_image_and_the_index_are_signed_in_every_repository(pod):
    repositories = [pod.repository, f"{pod.repository}/copy"]
    named = output(pod, *repositories, **signature(pod))
    built = [build(pod, platform, **named) for platform in PLATFORMS[:2]]
    assert [each["images"] for each in built] == [[f"{r}@{b['digest']}" for r in repositories] for b in built]
    assert not any("references" in each and each["references"] for each in built)

    result = execute(pod, "IndexRequest", images=[entry(each) for each in built], output=named)

    assert result["outcome"] == "Succeeded", result
    with pod.registry.client(credentials=ACCOUNT) as client:
        for repository in map(Repository.parse, repositories):
            assert "1" in client.tags(repository)
            for digest in (result["digest"], *(each["digest"] for each in built)):
                found = verify_image(client, repository, Digest.parse(digest), VerificationKey.load(PUBLIC))
                assert found.verified == BOTH


def said_of(pod: Pod, repository: str, digest: str) -> list[tuple[str, str]]:
    """Return the digests and names that the statements under the tag of cosign's are about."""
    with pod.registry.client(credentials=ACCOUNT) as client:
        place = Repository.parse(repository)
        tag = attestation_tag(Digest.parse(digest))
        document = instance(parse(client.manifest(place, tag)[1]), Manifest)
        envelopes = [
            json.loads(read_whole(partial(client.open_blob, place, each))) for each in document.layers
        ]
    statements = [json.loads(base64.b64decode(each["payload"])) for each in envelopes]
    subjects = [subject for each in statements for subject in each["subject"]]
    return [(each["digest"]["sha256"], each["name"]) for each in subjects]


@pytest.mark.parametrize("form", ["referrers", "index"])
def test_what_is_attested_of_the_images_is_signed_as_said_of_the_index(pod, form):
    """A tag names the index: who asks for provenance of the tag's image asks for that of the index."""
    repositories = [pod.repository, f"{pod.repository}/copy"]
    named = output(pod, *repositories, **signature(pod))
    built = [build(pod, each, attestations={"form": form}, **named) for each in PLATFORMS[:2]]
    images = [entry(each, attestation=each["attestation"], attestationForm=form) for each in built]

    result = execute(pod, "IndexRequest", images=images, output=named)

    assert result["outcome"] == "Succeeded", result
    encoded = result["digest"].removeprefix("sha256:")
    for repository in repositories:
        found = said_of(pod, repository, result["digest"])
        assert {digest for digest, _ in found} == {encoded}
        platforms = [name.rpartition("platform=")[2] for _, name in found]
        assert platforms == ["linux%2Famd64"] * 2 + ["linux%2Farm64"] * 2, "one each for both repositories"
        with pod.registry.client(credentials=ACCOUNT) as client:
            beside = client.referrers(Repository.parse(repository), Digest.parse(result["digest"]))
        kinds = [each.annotations.get("dev.sigstore.bundle.predicateType") for each in beside]
        assert kinds.count(PROVENANCE) == 2, "as bundles, too"
    listed = len(index_in(pod, pod.repository).manifests)
    assert listed == (4 if form == "index" else 2)


def test_what_the_request_does_not_name_is_not_signed_of_an_index(pod):
    """What others attested of an image in the index."""
    named = output(pod, **signature(pod))
    first, second = (build(pod, each, attestations={}, **named) for each in PLATFORMS[:2])
    images = [entry(first, attestation=first["attestation"], attestationForm="referrers"), entry(second)]
    write(pod, "IndexRequest", images=images, output=named)
    own = f"/{pod.registry.host}/v2/{pod.repository.partition('/')[2]}"
    with running_gateway(pod.path, pod.directory) as gateway:
        result = pod.execute()
        path, index = f"{own}/_attestations", f"index={result['digest']}"
        assert gateway.ask("POST", f"{path}/{second['attestation']}?{index}", b"")[0] == 404
        assert gateway.ask("POST", f"{path}/{first['attestation']}?index={first['digest']}", b"")[0] == 404
        assert gateway.ask("POST", f"{path}/{first['attestation']}?{index}", b"")[0] == 204
    names = [name for _, name in said_of(pod, pod.repository, result["digest"])]
    assert [name.rpartition("platform=")[2] for name in names] == ["linux%2Famd64"] * 2


@pytest.mark.usefixtures("unsigned")
def test_attestations_in_the_index_come_along(pod):
    attested = {"attestations": {"form": "index"}}
    built = [build(pod, platform, **attested) for platform in PLATFORMS[:2]]
    images = [entry(each, attestation=each["attestation"]) for each in built]

    result = execute(pod, "IndexRequest", images=images, output={**output(pod), "annotations": {"team": "a"}})

    assert result["outcome"] == "Succeeded", result
    index = index_in(pod, pod.repository)
    assert index.annotations == {"team": "a"}
    wanted = [digest for each in images for digest in (each["digest"], each["attestation"])]
    assert [str(each.digest) for each in index.manifests] == wanted


@pytest.mark.usefixtures("unsigned")
def test_fields_of_destinations_are_those_of_the_commit(pod):
    images = [entry(build(pod, PLATFORMS[0]))]
    named = {"destinations": [f"{pod.repository}:1-{{shortRevision}}"]}

    result = execute(pod, "IndexRequest", images=images, output=named, revision="abcdef1" + "0" * 33)
    nameless = execute(pod, "IndexRequest", images=images, output=named)

    assert result["references"] == [f"{pod.repository}:1-abcdef1"]
    assert pod.digest("1-abcdef1") == result["digest"]
    assert nameless["reason"] == "InvalidRequest"
    assert "has no value for {shortRevision}" in nameless["message"]


@pytest.mark.usefixtures("unsigned")
def test_an_image_that_one_repository_lacks_moves_no_tag(pod):
    images = [entry(build(pod, PLATFORMS[0]))]
    repositories = [pod.repository, f"{pod.repository}/copy"]

    result = execute(pod, "IndexRequest", images=images, output=output(pod, *repositories))

    assert result["reason"] == "PushFailed", result
    assert f"cannot read an image of the index in {pod.repository}/copy" in result["message"]
    assert "run the build again" in result["message"]
    assert pod.digest() is None


def test_sources_are_resolved_and_nothing_is_pushed(pod):
    reference = Reference.parse(f"{pod.registry.host}/team/context:1")
    with pod.registry.client(credentials=ACCOUNT) as client:
        layer: Layer = (mediatype.OCI_LAYER, archive({"Dockerfile": "FROM scratch\n"}), {})
        artifact = push_artifact(client, reference, layer)
        base = client.resolve(Reference.parse(pod.base)).digest
    before = len(pod.registry.requests())
    contexts = [{"name": "tools", "image": pod.base}, {"name": "none", "image": "scratch"}]

    result = execute(pod, "SourceRequest", source={"oci": {"reference": str(reference)}}, contexts=contexts)

    assert result["outcome"] == "Succeeded", result
    assert result["sources"] == [
        {"name": "", "digest": str(artifact.digest)},
        {"name": "tools", "digest": str(base)},
        {"name": "none"},
    ]
    asked = pod.registry.requests()[before:]
    assert {line.split()[0] for line in asked} <= {"GET", "HEAD"}
    assert not any("/blobs/" in line for line in asked)


def test_the_gateway_of_such_parts_grants_no_more_than_they_need(pod):
    """What a step could ask in a build by digest, and what nothing asks where there are no steps."""
    own = f"/{pod.registry.host}/v2/{pod.repository.partition('/')[2]}"
    source: dict[str, Any] = {"inline": {"files": {}}}
    build_fields = {"source": source, "output": {"destinations": [f"{pod.repository}:1"], "byDigest": True}}
    cases: list[tuple[str, dict[str, Any]]] = [
        ("BuildRequest", build_fields),
        ("SourceRequest", {"source": source}),
    ]
    for kind, fields in cases:
        write(pod, kind, **fields)
        with running_gateway(pod.path, pod.directory) as gateway:
            before = len(pod.registry.requests())
            status, body, _ = gateway.ask("PUT", f"{own}/manifests/1", b"{}")
            assert (status, b"does not push" in body) == (403, True), (kind, body)
            assert len(pod.registry.requests()) == before
