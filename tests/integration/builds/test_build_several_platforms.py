"""`--platform A,B`: an index of images, each what its platform's build makes, and no tag before all are there."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from hashlib import sha256

import pytest

from strake_oci.attestations import find_attestations
from strake_oci.registry.images import RegistryImages
from strake_oci.spec import mediatype
from strake_oci.spec.manifest import Index, parse
from strake_oci.spec.platform import host
from strake_oci.spec.reference import Reference
from strake_oci.stores.layout import Layout
from tests.conformance.flatten import flatten
from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.images import make_index
from tests.fixtures.narrow import instance
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

HERE, OTHER = ("amd64", "arm64") if host().architecture == "amd64" else ("arm64", "amd64")
BOTH = f"--platform=linux/{HERE},linux/{OTHER}"
CROSS = (
    "FROM --platform=$BUILDPLATFORM TINY AS build\nARG TARGETARCH\nRUN echo $TARGETARCH > /arch\n"
    "FROM scratch\nCOPY --from=build /arch /arch\n"
)


def index_of(builder: Builder) -> Index:
    reference = Reference.parse(builder.destination)
    with builder.registry.client() as client:
        found = client.resolve(reference)
        return instance(
            parse(client.manifest(reference.repository, found.digest)[1], found.media_type), Index
        )


def text_of(builder: Builder, digest: object) -> str:
    """Return the SHA-256 of the file that tells the architecture, of one of the images."""
    reference = Reference.parse(builder.destination)
    with builder.registry.client() as client:
        flat = flatten(client, reference.repository, str(digest))
    return flat.paths["/arch"]["sha256"]


def test_the_tag_is_an_index_of_what_each_platform_gets(builder, tmp_path):
    builder.context(CROSS)
    metadata = tmp_path / "metadata.json"
    done = builder.run(BOTH, f"--metadata-file={metadata}")
    assert done.returncode == 0, done.stderr
    index = index_of(builder)
    assert index.media_type == mediatype.OCI_INDEX
    assert [str(each.platform) for each in index.manifests] == [f"linux/{HERE}", f"linux/{OTHER}"]
    assert [text_of(builder, each.digest) for each in index.manifests] == [
        sha256(f"{each}\n".encode()).hexdigest() for each in (HERE, OTHER)
    ]
    result = json.loads(metadata.read_text())
    assert done.stdout == f"{builder.destination.rpartition(':')[0]}@{result['digest']}\n"
    assert result["platforms"] == [
        {"platform": str(each.platform), "digest": str(each.digest)} for each in index.manifests
    ]
    assert f"[linux/{HERE} build] RUN" in done.stderr
    assert f"[linux/{OTHER} build] RUN" in done.stderr


def test_a_platform_twice_is_one_image(builder):
    builder.context("FROM scratch\nCOPY Dockerfile /\n")
    assert builder.run(f"--platform=linux/{HERE},linux/{HERE}").returncode == 0
    assert set(builder.built().paths) >= {"/Dockerfile"}


def test_images_of_docker_are_in_a_list_of_docker(builder):
    builder.context("FROM scratch\nCOPY Dockerfile /\n")
    done = builder.run(BOTH, "--media-types=docker")
    assert done.returncode == 0, done.stderr
    assert index_of(builder).media_type == mediatype.DOCKER_INDEX


def test_one_that_fails_names_its_platform_and_moves_no_tag(builder):
    builder.context(
        f"FROM --platform=$BUILDPLATFORM TINY AS build\nARG TARGETARCH\nRUN test $TARGETARCH = {HERE}\n"
        "FROM scratch\nCOPY --from=build /etc /etc\n"
    )
    done = builder.run(BOTH)
    assert done.returncode == 7
    assert f"error: Dockerfile:3: linux/{OTHER}: " in done.stderr
    assert builder.tags() == []
    assert builder.left_behind() == []


def test_one_that_cannot_run_here_ends_it_before_any_step(builder):
    builder.context('FROM scratch\nCOPY Dockerfile /\nRUN ["/Dockerfile"]\n')
    done = builder.run(BOTH)
    assert done.returncode == 13
    assert f"linux/{OTHER}: " in done.stderr
    assert "#1" not in done.stderr
    assert builder.tags() == []


def test_a_base_image_that_one_platform_lacks_ends_it_before_any_step(builder):
    index = make_index(f"linux/{HERE}")
    with builder.registry.client() as client:
        index.write(RegistryImages(client, builder.registry.repository(f"{builder.name}/base")), "1")
    builder.context(f"FROM {builder.registry.host}/{builder.name}/base:1\nCOPY Dockerfile /\n")
    done = builder.run(BOTH)
    assert done.returncode == 5
    assert f"linux/{OTHER}: " in done.stderr
    assert f"no image for platform linux/{OTHER}" in done.stderr
    assert "#1" not in done.stderr
    assert builder.tags() == []


def test_the_context_is_read_once(builder):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        dockerfile = b"FROM scratch\nCOPY Dockerfile /\n"
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile)
        archive.addfile(member, io.BytesIO(dockerfile))
    path = builder.directory / "context.tar"
    path.write_bytes(content.getvalue())
    words = [STRAKE, "build", f"--context=tar://{path}", f"--work-dir={builder.work}", BOTH]
    words += [f"--insecure-registry={builder.registry.host}", f"--destination={builder.destination}"]
    done = run_strake(words, builder.environment())
    assert done.returncode == 0, done.stderr
    assert len(index_of(builder).manifests) == 2


@pytest.mark.parametrize(("form", "entries"), [("referrers", 2), ("index", 4)])
def test_each_image_has_its_provenance(builder, form, entries):
    builder.context(CROSS)
    done = builder.run(BOTH, "--provenance=max", f"--attestation-form={form}")
    assert done.returncode == 0, done.stderr
    index = index_of(builder)
    assert len(index.manifests) == entries
    reference = Reference.parse(builder.destination)
    with builder.registry.client() as client:
        top = client.resolve(reference).digest
        found = find_attestations(client, reference.repository, top)
        images = [each.digest for each in index.manifests if str(each.platform) != "unknown/unknown"]
        assert sorted(str(each.image) for each in found) == sorted(map(str, images))
        assert all(RegistryImages(client, reference.repository).manifest(each) for each in index.manifests)


def test_the_index_and_each_image_are_signed(builder, tmp_path):
    builder.context("FROM scratch\nCOPY Dockerfile /\n")
    (tmp_path / "cosign.key").write_bytes(KEY)
    (tmp_path / "cosign.pub").write_bytes(PUBLIC)
    done = builder.run(BOTH, f"--sign-key={tmp_path / 'cosign.key'}", COSIGN_PASSWORD=PASSWORD.decode())
    assert done.returncode == 0, done.stderr
    repository = builder.destination.rpartition(":")[0]
    names = [builder.destination, *(f"{repository}@{each.digest}" for each in index_of(builder).manifests)]
    for name in names:
        words = [STRAKE, "verify", name, "--key", tmp_path / "cosign.pub", "--insecure"]
        found = run_strake(words, builder.environment())
        assert found.returncode == 0, (name, found.stderr)


def test_steps_that_do_not_differ_are_cached_for_both(builder):
    builder.context(CROSS)
    flags = (BOTH, f"--cache-dir={builder.directory / 'cache'}", "--reproducible")
    assert builder.run(*flags).returncode == 0
    first = index_of(builder)
    again = builder.run(*flags)
    assert again.returncode == 0
    assert again.stderr.count("CACHED") == 2
    assert index_of(builder) == first


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--tar-path=out.tar"], "write --output type=oci,dest=FILE"),
        (["--output=type=tar,dest=out.tar"], "holds those of one platform"),
    ],
)
def test_what_has_room_for_one_image_is_refused(builder, flags, words):
    builder.context("FROM scratch\nCOPY Dockerfile /\n")
    done = builder.run(BOTH, *flags)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_layout_and_an_archive_hold_the_index_that_is_pushed(builder, tmp_path):
    builder.context(CROSS)
    metadata = tmp_path / "metadata.json"
    done = builder.run(
        BOTH,
        "--provenance=min",
        "--attestation-form=index",
        f"--output=type=oci,tar=false,dest={tmp_path}/layout",
        f"--output=type=oci,dest={tmp_path}/archive.tar",
        f"--output=type=local,dest={tmp_path}/files",
        f"--metadata-file={metadata}",
    )
    assert done.returncode == 0, done.stderr
    pushed = json.loads(metadata.read_text())["digest"]
    assert str(Layout(tmp_path / "layout").resolve("1").digest) == pushed
    for name in (f"oci:{tmp_path}/layout:1", f"oci-archive:{tmp_path}/archive.tar:1"):
        copy = f"{builder.destination}-copy"
        copied = run_strake([STRAKE, "copy", "--insecure", name, copy], builder.environment())
        assert (copied.returncode, copied.stdout.strip()) == (0, pushed), copied.stderr
    inspected = subprocess.run(
        ["skopeo", "inspect", "--override-arch", OTHER, f"oci-archive:{tmp_path}/archive.tar:1"],
        capture_output=True,
        text=True,
    )
    assert json.loads(inspected.stdout)["Architecture"] == OTHER, inspected.stderr
    texts = {each: (tmp_path / f"files/linux_{each}/arch").read_text() for each in (HERE, OTHER)}
    assert texts == {HERE: f"{HERE}\n", OTHER: f"{OTHER}\n"}


def test_files_alone_need_no_registry(builder, tmp_path):
    builder.context(CROSS)
    done = builder.run(
        BOTH, "--no-push", f"--output=type=oci,dest={tmp_path}/archive.tar", "--provenance=min",
        "--attestation-form=index",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert builder.tags() == []
    listed = run_strake([STRAKE, "inspect", f"{tmp_path}/archive.tar", "--raw"])
    platforms = [each["platform"]["architecture"] for each in json.loads(listed.stdout)["manifests"]]
    assert sorted(platforms) == sorted([HERE, OTHER, "unknown", "unknown"])


def test_an_archive_that_cannot_be_written_keeps_the_tag_where_it_is(builder, tmp_path):
    builder.context(CROSS)
    (tmp_path / "layout").write_text("a file")
    done = builder.run(BOTH, f"--output=type=oci,tar=false,dest={tmp_path}/layout")
    assert done.returncode == 8, done.stderr
    assert f"{tmp_path}/layout" in done.stderr
    assert builder.tags() == []
    assert builder.left_behind() == []


def test_without_a_push_all_are_built(builder):
    builder.context(CROSS)
    done = builder.run(BOTH, "--no-push")
    assert done.returncode == 0, done.stderr
    assert builder.tags() == []
