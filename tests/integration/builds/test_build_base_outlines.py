"""A base that no step runs in is read and not unpacked, and the image is the same as over unpacked layers."""

from __future__ import annotations

import os

import pytest

from tests.fixtures.building.builds import Builder
from tests.fixtures.building.cached_builds import Cached, holds
from tests.fixtures.building.file_systems import ext4
from tests.fixtures.content.hostile_images import HostileImages, diff_id, layer
from tests.fixtures.content.tar_members import CHR, DIR, LNK, SYM, member

EPOCH = "1700000000"

LOWER = layer(
    member("etc", type=DIR, mode=0o755),
    member("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n"),
    member("etc/group", b"app:x:1234:\n"),
    member("etc/service.conf", b"as it was\n"),
    member("usr", type=DIR, mode=0o755),
    member("usr/lib", type=DIR, mode=0o755),
    member("usr/lib/file", b"1"),
    member("usr/lib/other", type=LNK, linkname="usr/lib/file"),
    member("lib", type=SYM, linkname="usr/lib"),
    member("private", type=DIR, mode=0o700, uid=7, gid=8),
    member("srv", type=DIR, mode=0o1777),
    member("srv/data", type=DIR, mode=0o750, uid=1234),
    member("srv/data/deep", b"deep\n"),
    member("link", type=SYM, linkname="/srv"),
    member("gone", type=DIR, mode=0o700),
    member("gone/file", b"1"),
    member("hidden", type=DIR, mode=0o755),
    member("hidden/inside", type=DIR, mode=0o700),
    member("same", b"A", mode=0o644, mtime=1600000000),
)
UPPER = layer(
    member("hidden", type=DIR, mode=0o711),
    member("hidden/.wh..wh..opq"),
    member(".wh.gone"),
    member("usr/lib/.wh.file"),
    member("opt/made/file", b"1"),
)

STEPS = [
    "COPY a /lib/",
    "COPY a b /lib/x/",
    "COPY . /",
    "COPY . /srv/data",
    "COPY a /link/data/",
    "COPY a /link/data/deep",
    "COPY a /etc/service.conf",
    "COPY a /same",
    "COPY a /usr/lib/other",
    "COPY a /gone/",
    "COPY a /gone/file",
    "COPY a /hidden/inside/",
    "COPY a /opt/made/",
    "COPY a /private/new/directory/",
    "COPY --chown=app a /home/app/",
    "COPY --chown=1:app --chmod=600 a /srv/data/",
    "USER app\nWORKDIR /srv/data/w\nCOPY --chown=app . .",
    "WORKDIR /lib\nCOPY a .\nCOPY b ./x/\nCOPY a x/b",
    "COPY --link a /lib/\nCOPY a /lib/b",
    "COPY <<end /etc/service.conf\nas it is\nend",
    "ADD a /lib/",
    "ADD --unpack=false a /lib/",
    "COPY --from=TINY /bin/busybox /usr/lib/",
]


@pytest.fixture
def image(builder):
    return HostileImages(builder).push(LOWER, UPPER)


def build(builder: Builder, dockerfile: str, *flags: str) -> str:
    """Build from files with times of their own, and return the image's digest."""
    context = builder.context(dockerfile, a="A", b="B")
    for name in "ab":
        os.utime(context / name, (1600000000, 1600000000))
    done = Cached(builder, [*flags]).build(SOURCE_DATE_EPOCH=EPOCH)
    assert done.status == 0, done.result
    return done.digest


@pytest.mark.parametrize(
    ("steps", "rootfs"), [*((steps, "overlay") for steps in STEPS), *((steps, "scan") for steps in STEPS[:3])]
)
def test_the_image_is_the_same_as_over_unpacked_layers(builder, image, tmp_path, steps, rootfs):
    dockerfile = f"FROM {image}\n{steps}\n"
    read = build(builder, dockerfile, "--rootfs", rootfs)
    # The image's files are an output, for which they are needed.
    unpacked = build(builder, dockerfile, "--rootfs", rootfs, "--output", f"type=local,dest={tmp_path}/out")
    assert read == unpacked
    assert (tmp_path / "out/usr/lib").is_dir()


@pytest.fixture
def large(builder):
    """An image with 512 MiB of files, which a work directory of 128 MiB does not hold."""
    return HostileImages(builder).push(LOWER, layer(member("large", bytes(512 << 20))))


def test_a_build_of_copies_needs_no_room_for_its_base(builder, large):
    builder.context(f"FROM {large} AS one\nCOPY a /lib/\nWORKDIR /srv\nFROM one\nCOPY b .\n", a="A", b="B")
    with ext4(builder.work, "128M"):
        done = builder.run()
        assert done.returncode == 0, done.stdout
    assert holds(builder, "/usr/lib/a", "A")
    assert holds(builder, "/srv/b", "B")
    assert "/large" in builder.built().paths


def test_nor_does_one_with_a_cache_which_keeps_what_the_next_one_needs(builder, large):
    dockerfile = f"FROM {large}\nCOPY a /lib/\nWORKDIR /srv\nCOPY b .\n"
    flags = ["--cache-repo", f"{builder.registry.host}/{builder.name}/cache"]
    with ext4(builder.work, "128M"):
        first = build(builder, dockerfile, *flags)
        assert first == build(builder, dockerfile)
        (builder.context(dockerfile, a="A") / "b").write_text("another")
        changed = Cached(builder, flags).build(SOURCE_DATE_EPOCH=EPOCH)
    assert changed.status == 0, changed.result
    assert (changed.pulled, changed.ran) == ([], ["COPY b ."])
    assert holds(builder, "/srv/b", "another")


@pytest.mark.parametrize(
    "steps",
    ["RUN true", "COPY --from=one /lib /l", "ADD archive.tar /", "COPY --chown=nobody a /"],
)
def test_a_base_whose_files_are_needed_is_unpacked(builder, large, steps):
    """So the test before this one would notice a base that is unpacked."""
    context = builder.context(f"FROM {large} AS one\nCOPY a /a\nFROM {large}\n{steps}\n", a="A")
    (context / "archive.tar").write_bytes(layer(member("f", b"1")))
    with ext4(builder.work, "128M"):
        done = builder.run()
    assert done.returncode != 0
    assert "the work directory is full" in done.stderr


MALFORMED = [
    layer(member("../out", b"1")),
    layer(member("f", b"1"), member("f/g", b"1")),
    layer(member("f", b"1"), member("l", type=SYM, linkname="f"), member("l/g", b"1")),
    layer(member("d", type=DIR), member("h", type=LNK, linkname="d")),
    layer(member("f", b"1"), member("h", type=LNK, linkname="f/g")),
    layer(member("h", type=LNK, linkname="nowhere")),
    layer(member("a" * 300, b"1")),
    layer(member("null", type=CHR, devmajor=0, devminor=0)),
    layer(member(".wh...", b"")),
    layer(member("etc/passwd/f", b"1")),
    layer(member("f", b"1" * 2000))[:1024],
    b"no archive" * 200,
]


@pytest.mark.parametrize("bad", MALFORMED)
def test_a_malformed_layer_is_refused_in_the_same_words(builder, tmp_path, bad):
    image = HostileImages(builder).push(LOWER, bad)
    builder.context(f"FROM {image}\nCOPY a /b\n", a="A")
    read = Cached(builder, []).build()
    unpacked = Cached(builder, ["--cache-dir", str(tmp_path / "cache")]).build()
    assert (read.status, read.result["message"]) == (unpacked.status, unpacked.result["message"])
    assert read.status != 0


def test_a_layer_that_is_not_what_its_image_says_is_refused(builder, tmp_path):
    image = HostileImages(builder).push(LOWER, diff_ids=(diff_id(UPPER),))
    builder.context(f"FROM {image}\nCOPY a /b\n", a="A")
    done = Cached(builder, []).build()
    assert done.status != 0
    assert f"its image says {diff_id(UPPER)}" in done.result["message"]


def test_each_layer_is_read_once_for_all_stages(builder, image):
    builder.context(
        f"FROM {image} AS one\nCOPY a /a\nFROM {image}\nCOPY --from=one /a /b\nCOPY a /c\n", a="A"
    )
    before = len(builder.registry.requests())
    assert builder.run().returncode == 0
    reads = [line.split()[1] for line in builder.registry.requests()[before:] if "GET " in line]
    blobs = [path for path in reads if "/blobs/" in path]
    assert len(blobs) == len(set(blobs)), blobs
