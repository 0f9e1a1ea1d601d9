"""COPYs that changed, over layers that are in a registry: the same image, and the layers stay where they are."""

from __future__ import annotations

import base64
import gzip
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from strake_builder.cache.entry import OUTLINE
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from tests.fixtures.building.builds import Builder
from tests.fixtures.building.cached_builds import Cached, Outcome, flags_of, holds

EPOCH = "1700000000"
"""Fixed times make two builds comparable that ran at different ones."""

GROUND = (
    "FROM TINY\n"
    "RUN echo app:x:1234:1234::/home/app:/bin/sh >> /etc/passwd && mkdir -p /home/app && mkdir -p /app/lib /srv/data && ln -s /srv /link && chmod 750 /app/lib "
    "&& chown app /app/lib && echo old > /app/file && ln -s file /app/alias && mkfifo /app/pipe "
    "&& echo one > /app/one && ln /app/one /app/two && echo deep > /srv/data/deep\n"
)

STEPS = [
    "COPY a /app/",
    "COPY a /app/a",
    "COPY . /app",
    "COPY . /app/",
    "COPY a b /app/lib/",
    "COPY . /",
    "COPY a /new/directory/",
    "COPY --chown=app a /app/",
    "COPY --chown=app:1 a /home/app/new/",
    "COPY --chmod=600 a /app/",
    "COPY a /link/data/",
    "COPY a /app/alias",
    "COPY a /app/pipe",
    "COPY a /app/two",
    "COPY a b /app/lib/\nCOPY b /app/lib/c\nCOPY a /app",
    "WORKDIR /app/lib\nCOPY a .",
    "COPY a /app/\nWORKDIR /w/x\nCOPY b .",
    "USER app\nWORKDIR /home/app/src\nCOPY --chown=app . .",
    "ADD a /app/",
    "ADD . /app/",
    "COPY --link a /app/",
    "COPY a /app/\nCOPY --link b /b",
    "COPY <<end /app/here\nsome $PATH\nend\nCOPY a /app/",
]


@pytest.fixture
def cached(builder, tmp_path):
    return Cached(builder, flags_of("repository", builder, tmp_path))


def change(builder: Builder, dockerfile: str, **files: str) -> None:
    """Write a context whose files have a time of their own, whole seconds as a git checkout or an archive has."""
    context = builder.context(dockerfile, **files)
    for name in files:
        os.utime(context / name, (1600000000, 1600000000))


def first_build(cached: Cached, dockerfile: str, **files: str) -> None:
    change(cached.builder, dockerfile, **files)
    first = cached.build(SOURCE_DATE_EPOCH=EPOCH)
    assert first.status == 0, first


def layers(builder: Builder) -> tuple[Descriptor, ...]:
    reference = Reference.parse(builder.destination)
    with builder.registry.client() as client:
        descriptor, data = client.manifest(reference.repository, reference.identifier)
    document = parse(data, descriptor.media_type)
    assert isinstance(document, Manifest)
    return document.layers


def layers_read(builder: Builder, since: int, of: tuple[Descriptor, ...]) -> list[str]:
    """The requests that read the content of any of these layers."""
    lines = [line for line in builder.registry.requests()[since:] if line.startswith("GET ")]
    return [line for line in lines if any(f"/blobs/{layer.digest} " in line for layer in of)]


def built_without_caches(builder: Builder) -> str:
    plain = replace(builder, name=f"{builder.name}/plain")
    done = Cached(plain, []).build(SOURCE_DATE_EPOCH=EPOCH)
    assert done.status == 0
    return done.digest


def rebuilt(cached: Cached) -> tuple[Outcome, list[str]]:
    """Build again; return its log, and the requests for layers of the RUN and of what is under it."""
    builder = cached.builder
    ground = layers(builder)[:2]
    before = len(builder.registry.requests())
    outcome = cached.build(SOURCE_DATE_EPOCH=EPOCH)
    assert outcome.status == 0, outcome
    assert layers(builder)[:2] == ground
    return outcome, layers_read(builder, before, ground)


@pytest.mark.parametrize(
    ("steps", "rootfs"), [*((steps, "overlay") for steps in STEPS), *((steps, "scan") for steps in STEPS[:3])]
)
def test_a_changed_copy_makes_the_same_layer_without_the_lower_ones(cached, steps, rootfs):
    cached = replace(cached, flags=[*cached.flags, "--rootfs", rootfs])
    first_build(cached, GROUND + steps, a="A", b="B")
    change(cached.builder, GROUND + steps, a="another", b="B", c="C")
    outcome, reads = rebuilt(cached)
    assert reads == [], "a layer was read that no RUN needs"
    assert len(outcome.ran) >= 1
    assert outcome.digest == built_without_caches(cached.builder)


def test_what_earlier_copies_brought_is_not_read_either(cached):
    dockerfile = GROUND + "COPY a b /app/\nCOPY b /srv/\nCOPY c /app/lib/"
    first_build(cached, dockerfile, a="A", b="B", c="C")
    change(cached.builder, dockerfile, a="A", b="B", c="another")
    outcome, _ = rebuilt(cached)
    assert (outcome.pulled, outcome.ran) == ([], ["COPY c /app/lib/"])
    assert outcome.digest == built_without_caches(cached.builder)
    change(cached.builder, dockerfile, a="another", b="B", c="third")
    outcome, reads = rebuilt(cached)
    assert (reads, len(outcome.ran)) == ([], 3)
    assert outcome.digest == built_without_caches(cached.builder)


def test_a_file_that_lower_layers_have_is_left_out_without_reading_the_layer(cached):
    dockerfile = "FROM TINY\nCOPY a /app/\nRUN echo dependencies > /app/out\nCOPY . /app/"
    first_build(cached, dockerfile, a="A", b="B")
    change(cached.builder, dockerfile, a="A", b="another")
    outcome, reads = rebuilt(cached)
    assert (reads, outcome.ran) == ([], ["COPY . /app/"])
    assert outcome.digest == built_without_caches(cached.builder)


@pytest.mark.parametrize(
    ("dockerfile", "path"),
    [
        (GROUND + "COPY tree /", "srv/data/deep"),
        (GROUND + "COPY tree /", "app/lib/new"),
        (GROUND + "COPY tree/ /app/", "lib/new"),
        ("FROM TINY\nRUN mkdir /d && echo same > /d/f && touch -d @1600000000 /d/f\nCOPY tree /d/", "f"),
    ],
)
def test_a_copy_that_goes_where_none_went_before_reads_the_layers(cached, dockerfile, path):
    first = cached.builder.context(dockerfile) / "tree"
    write(first / "first")
    cached.build(SOURCE_DATE_EPOCH=EPOCH)
    write(first / path)
    outcome, reads = rebuilt(cached)
    assert reads, "nothing tells what is in the way there"
    assert outcome.digest == built_without_caches(cached.builder)
    write(first / path, "again\n")
    outcome, reads = rebuilt(cached)
    assert reads == []
    assert outcome.digest == built_without_caches(cached.builder)


def test_a_step_that_is_made_again_over_the_layers_warns_once(cached):
    dockerfile = GROUND + "COPY a missin[g] /app/\nCOPY b /srv/data/"
    first_build(cached, dockerfile, a="A", b="B")
    tree = cached.builder.context(dockerfile.replace("a missin", "tree missin")) / "tree"
    write(tree / "lib/file")
    outcome, _ = rebuilt(cached)
    assert [w for w in outcome.warnings if "matches nothing" in w] == ["missin[g] matches nothing"]


def write(file: Path, content: str = "same\n") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    os.utime(file, (1600000000, 1600000000))


def test_an_archive_that_links_to_lower_layers_reads_the_layers(cached):
    dockerfile = GROUND + "ADD archive.tar /app/"
    context = cached.builder.context(dockerfile)
    archive(context, "first")
    cached.build(SOURCE_DATE_EPOCH=EPOCH)
    archive(context, "first", "second")
    outcome, reads = rebuilt(cached)
    assert reads == []
    assert outcome.digest == built_without_caches(cached.builder)
    archive(context, "first", link="file")
    assert cached.build(SOURCE_DATE_EPOCH=EPOCH).status == 0
    assert holds(cached.builder, "/app/linked", "old\n")


def archive(context: Path, *names: str, link: str = "") -> None:
    with tarfile.open(context / "archive.tar", "w") as file:
        for name in names:
            file.addfile(tarfile.TarInfo(name))
        if link:
            linked = tarfile.TarInfo("linked")
            linked.type, linked.linkname, linked.mode = tarfile.LNKTYPE, "file", 0o600
            file.addfile(linked)


def test_a_copy_that_cannot_be_is_refused_in_the_same_words(cached):
    dockerfile = GROUND + "COPY a /app/"
    first_build(cached, dockerfile, a="A")
    change(cached.builder, GROUND + "COPY missing /app/", a="A")
    known = cached.build(SOURCE_DATE_EPOCH=EPOCH)
    plain = replace(cached, flags=[]).build(SOURCE_DATE_EPOCH=EPOCH)
    assert known.status == plain.status == 6
    assert known.result["message"] == plain.result["message"]


def test_a_run_after_the_copy_has_the_layers(cached):
    dockerfile = GROUND + "COPY a /app/\nRUN cat /app/a /srv/data/deep > /both"
    first_build(cached, dockerfile, a="A")
    change(cached.builder, dockerfile, a="another")
    _, reads = rebuilt(cached)
    assert reads
    assert holds(cached.builder, "/both", "anotherdeep\n")


def test_another_stage_reads_all_of_a_stage_that_ran_over_an_outline(cached):
    dockerfile = GROUND.replace("FROM TINY", "FROM TINY AS one") + (
        "COPY a /app/\nFROM TINY\nRUN true\nCOPY --from=one /app /srv/data /all/\n"
    )
    first_build(cached, dockerfile, a="A")
    change(cached.builder, dockerfile, a="another")
    assert cached.build(SOURCE_DATE_EPOCH=EPOCH).status == 0
    assert holds(cached.builder, "/all/a", "another")
    assert holds(cached.builder, "/all/deep", "deep\n")


def test_the_target_is_not_read_when_only_what_is_copied_from_a_stage_changes(cached):
    dockerfile = (
        "FROM TINY AS build\nCOPY a /src/\nRUN cat /src/a > /out\n"
        + GROUND
        + "COPY --from=build /out /app/out\n"
    )
    first_build(cached, dockerfile, a="A")
    change(cached.builder, dockerfile, a="another")
    before = len(cached.builder.registry.requests())
    run = layers(cached.builder)[1:2]
    assert cached.build(SOURCE_DATE_EPOCH=EPOCH).status == 0
    assert layers_read(cached.builder, before, run) == []
    assert holds(cached.builder, "/app/out", "another")


@pytest.mark.parametrize(
    "damage",
    [
        lambda outline: outline[: len(outline) // 2],
        lambda _: base64.b64encode(b"no archive").decode(),
        lambda _: base64.b64encode(gzip.compress(b"x" * 2048)).decode(),
        lambda _: "?",
    ],
)
def test_a_broken_outline_costs_a_warning(cached, damage):
    dockerfile = GROUND + "COPY a /app/"
    first_build(cached, dockerfile, a="A")
    damage_outlines(cached.builder, damage)
    change(cached.builder, dockerfile, a="another")
    outcome, reads = rebuilt(cached)
    assert reads
    assert any("outline" in warning for warning in outcome.warnings), outcome.warnings
    assert outcome.digest == built_without_caches(cached.builder)


def damage_outlines(builder: Builder, damage: Callable[[str], str]) -> None:
    """Put a damaged outline in the place of each in the cache's repository."""
    repository = Reference.parse(f"{builder.registry.host}/{builder.name}/cache:x").repository
    tags = builder.registry.root / "docker/registry/v2/repositories" / repository.path / "_manifests/tags"
    damaged = 0
    with builder.registry.client() as client:
        for tag in tags.iterdir():
            descriptor, data = client.manifest(repository, tag.name)
            manifest = json.loads(data)
            if OUTLINE in manifest["annotations"]:
                manifest["annotations"][OUTLINE] = damage(manifest["annotations"][OUTLINE])
                reference = Reference(repository, tag=tag.name)
                client.push_manifest(reference, json.dumps(manifest).encode(), descriptor.media_type)
                damaged += 1
    assert damaged
