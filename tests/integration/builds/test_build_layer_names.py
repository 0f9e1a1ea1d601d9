"""Names that mean something in a layer, and layers that an image lists more than once."""

from __future__ import annotations

import os
import tarfile

import pytest

from tests.fixtures.content.hostile_images import HostileImages, layer
from tests.fixtures.content.tar_members import DIR, LNK, member

KINDS = ("overlay", "scan")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "step",
    [
        "COPY d /etc/",
        "COPY d/.wh.passwd /etc/",
        "ADD d /x/",
        "RUN touch /etc/.wh.passwd",
        "RUN mkdir /.wh.etc",
        "RUN ln -s a /etc/.wh..wh..opq",
    ],
)
def test_a_file_named_like_a_whiteout_is_refused(builder, kind, step):
    context = builder.context(f"FROM TINY\n{step}\n")
    (context / "d").mkdir()
    (context / "d/.wh.passwd").write_text("x")
    done = builder.run("--rootfs", kind)
    assert done.returncode != 0
    assert "/.wh." in done.stderr
    assert "would delete a file instead" in done.stderr
    marked = "^" * len(step.partition(" ")[0])
    assert f"\n     2 | {step}\n       | {marked}\nerror: Dockerfile:2: /" in done.stderr
    assert builder.tags() == []


def test_a_file_named_like_a_whiteout_may_come_and_go_in_one_step(builder):
    builder.context("FROM TINY\nRUN touch /etc/.wh.passwd && rm /etc/.wh.passwd && echo x > /x\n")
    done = builder.run()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_lists_a_layer_twice(builder, kind):
    a, b = layer(member("x", b"a"), member("d/f", b"a")), layer(member(".wh.x"), member("d/f", b"b"))
    image = HostileImages(builder).push(a, b, a, layer(), layer())
    builder.context(
        f"FROM {image} AS base\nRUN test $(cat /x /d/f) = aa\nCOPY Dockerfile /copied\n"
        f"FROM TINY\nCOPY --from={image} /x /d/f /from/\n"
        f"RUN --mount=type=bind,from={image},target=/m test $(cat /m/x /m/d/f) = aa\n"
        f"COPY --from=base /copied /\n"
    )
    done = builder.run("--rootfs", kind)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_an_image_that_lists_a_layer_twice(builder, kind, tmp_path):
    a, b = layer(member("x", b"a"), member("d/f", b"a")), layer(member(".wh.x"), member("d/f", b"bb"))
    image = HostileImages(builder).push(a, b, a, layer(), b, layer())
    builder.context(f"FROM {image}\nCOPY Dockerfile /copied\n")
    done = builder.run("--rootfs", kind, "--no-push", "-o", f"type=tar,dest={tmp_path}/out.tar")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "out.tar") as tar:
        names = [name.strip("./") for name in tar.getnames()]
        sizes = {info.name.strip("./"): info.size for info in tar.getmembers()}
    assert "x" not in names
    assert sizes["d/f"] == len("bb")
    assert names.count("d/f") == 1
    assert "copied" in names


@pytest.mark.parametrize("kind", KINDS)
def test_a_cached_image_of_ones_own_that_lists_a_layer_twice(builder, kind):
    steps = "FROM TINY\nRUN echo 1 > /flag\nRUN echo 22 > /flag\nRUN echo 1 > /flag\n"
    flags = ("--rootfs", kind, "--reproducible", "--cache-dir", str(builder.directory / "cache"))
    builder.context(steps)
    done = builder.run(*flags)
    assert done.returncode == 0, done.stderr
    ids = builder.built().config.diff_ids
    assert ids[-1] == ids[-3]
    builder.context(f"{steps}RUN test $(cat /flag) = 1\nCOPY Dockerfile /copied\n")
    done = builder.run(*flags)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_the_context_belongs_to_root_in_a_mount(builder, kind):
    context = builder.context(
        'FROM TINY\nRUN --mount=type=bind,target=/m test "$(stat -c %u:%g /m /m/d /m/d/f | sort -u)" = 0:0\n'
        'RUN --mount=type=bind,source=d,target=/m,rw test "$(stat -c %u:%g /m /m/f | sort -u)" = 0:0\n'
    )
    (context / "d").mkdir()
    (context / "d/f").write_text("x")
    for path in (context, context / "d", context / "d/f"):
        os.chown(path, 1234, 4321)
    done = builder.run("--rootfs", kind)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["etc/.wh.passwd", ".wh.etc/f", "etc/.wh..wh..opq"])
def test_an_archive_with_a_name_like_a_whiteout_is_refused(builder, kind, name):
    context = builder.context("FROM TINY\nADD a.tar /x/\n")
    (context / "a.tar").write_bytes(layer(member("fine", b"1"), member(name, b"x")))
    done = builder.run("--rootfs", kind)
    assert done.returncode != 0
    assert "/x/" + name.partition("/f")[0] in done.stderr
    assert "would delete a file instead" in done.stderr
    assert builder.tags() == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_aufs_shows_nothing_of_it(builder, kind):
    aufs = layer(
        member(".wh..wh.aufs"),
        member(".wh..wh.orph", type=DIR),
        member(".wh..wh.plnk", type=DIR),
        member(".wh..wh.plnk/7.1", b"shared\n"),
        member("linked", type=LNK, linkname=".wh..wh.plnk/7.1"),
    )
    image = HostileImages(builder).push(aufs, layer(member("d/f", b"1")), aufs)
    builder.context(
        f"FROM {image} AS base\nRUN test $(cat /linked) = shared && ! ls -a / | grep '[.]wh[.]' && echo 1 >> /linked\n"
        f"FROM TINY\nCOPY --from={image} / /copied/\n"
        "RUN test $(cat /copied/linked) = shared && ! ls -a /copied | grep '[.]wh[.]'\n"
        "COPY --from=base /linked /\n"
    )
    done = builder.run("--rootfs", kind)
    assert done.returncode == 0, done.stderr


MOUNTS = (
    'FROM TINY\nRUN --mount=type=bind,target=/m test "$(stat -c %u:%g /m /m/d /m/d/f | sort -u)" = 0:0\n'
    "RUN --mount=target=/m cp -a /m/d/f /copied && test $(stat -c %u:%g /copied) = 0:0\n"
)


@pytest.mark.parametrize("form", ["ignored", "archive", "compressed archive"])
def test_the_context_belongs_to_root_in_a_mount_in_every_form(builder, form, tmp_path):
    context = builder.context(MOUNTS)
    (context / "d").mkdir()
    (context / "d/f").write_text("x")
    (context / "other").write_text("x")
    if form == "ignored":
        (context / ".dockerignore").write_text("other\n")
    for path in (context, *context.rglob("*")):
        os.chown(path, 1234, 4321)
    flags = []
    if form != "ignored":
        path = tmp_path / ("c.tar" if form == "archive" else "c.tar.gz")
        with tarfile.open(path, "w" if form == "archive" else "w:gz") as tar:
            tar.add(context, ".")
        flags = ["--context", f"tar://{path}"]
    done = builder.run(*flags)
    assert done.returncode == 0, done.stderr
