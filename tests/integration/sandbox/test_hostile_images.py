"""Builds on base images that want to do harm: the right image or a clear error, and nothing outside changes."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest

from strake_oci.spec.digest import DiffID, Digest
from tests.fixtures.content.hostile_images import HostileImages, diff_id, layer
from tests.fixtures.content.tar_members import CHR, DIR, FIFO, LNK, SYM, member

BROKEN = 5
"""Exit status for a base image that cannot be used."""
CONTENT = "machine:x:77:77::/:/bin/sh\n"


@pytest.fixture
def images(builder):
    return HostileImages(builder)


@pytest.fixture
def victim(builder):
    """A file of the machine's; it, and what is beside it, must be as before."""
    directory = builder.directory / "machine"
    directory.mkdir()
    path = directory / "victim"
    path.write_text(CONTENT)
    before = path.stat()
    yield path
    after = path.stat()
    assert path.read_text() == CONTENT
    assert (after.st_mode, after.st_uid, after.st_nlink) == (before.st_mode, before.st_uid, before.st_nlink)
    assert after.st_mtime_ns == before.st_mtime_ns
    assert os.listdir(directory) == ["victim"]
    assert builder.left_behind() == []


def build(builder, image: str, *flags: str, steps: str = "RUN true") -> subprocess.CompletedProcess[str]:
    builder.context(f"FROM {image}\n{steps}\n")
    done = builder.run(*flags, timeout=240)
    assert "Traceback" not in done.stderr
    assert "defect of Strake" not in done.stderr
    return done


def refused(builder, image: str, *words: str) -> None:
    done = build(builder, image)
    assert done.returncode == BROKEN, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert builder.tags() == []


@pytest.mark.parametrize("name", ["../victim", "a/../../victim", "..", "usr/../../../../../../../victim"])
def test_paths_that_climb(builder, images, victim, name):
    refused(builder, images.push(layer(member(name, b"hacked"))), "climbs out of the layer")


@pytest.mark.parametrize("kind", ["overlay", "scan"])
def test_absolute_paths_and_links_end_inside(builder, images, victim, kind):
    machine = str(victim.parent)
    image = images.push(
        layer(
            member(f"/{machine}/victim", b"inside"),
            member("up", type=SYM, linkname="../../../../.."),
            member("up/by-link", b"inside"),
            member("there", type=SYM, linkname=machine),
            member("there/new", b"inside"),
        )
    )
    check = f"RUN grep inside {machine}/victim && grep inside /by-link && grep inside {machine}/new"
    assert build(builder, image, "--rootfs", kind, steps=check).returncode == 0


def test_a_link_of_one_layer_and_a_file_behind_it_in_the_next(builder, images, victim):
    machine = str(victim.parent)
    image = images.push(
        layer(member("there", type=SYM, linkname=machine)), layer(member("there/victim", b"inside"))
    )
    done = build(builder, image, steps=f"RUN grep inside {machine}/victim && test -L /there")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", ["../victim", "/victim", "there/victim", "missing", "bin"])
def test_hard_links_out(builder, images, victim, target):
    link = member("there", type=SYM, linkname=str(victim.parent))
    refused(builder, images.push(layer(link, member("hl", type=LNK, linkname=target))), "the hard link")


def test_a_hard_link_out_through_a_lower_layer(builder, images, victim):
    lower = layer(member("there", type=SYM, linkname=str(victim.parent)))
    refused(
        builder, images.push(lower, layer(member("hl", type=LNK, linkname="there/victim"))), "the hard link"
    )


@pytest.mark.parametrize("kind", ["overlay", "scan"])
def test_a_layer_over_the_base_that_leaves_much_out(builder, images, victim, kind):
    """Not hostile, only terse: what other tools unpack over the base comes out the same here."""
    image = images.push(
        layer(
            member("d", type=DIR, mode=0o1777, uid=7),
            member("d/f", b"1"),
            member("bin2", type=SYM, linkname="bin"),
        ),
        layer(
            member("d/g", b"2"), member("hl", type=LNK, linkname="d/f"), member("bin2/tool", b"3", mode=0o755)
        ),
    )
    check = "RUN test $(stat -c %a:%u /d) = 1777:7 && test -L /bin2 && test -f /bin/tool && grep 1 /hl && cat /d/g"
    done = build(builder, image, "--rootfs", kind, steps=check)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "etc/.wh.."])
def test_whiteouts_of_nothing(builder, images, victim, name):
    refused(builder, images.push(layer(member(name))), "whiteout of nothing")


def test_a_device_that_poses_as_a_whiteout(builder, images, victim):
    image = images.push(layer(member("etc/passwd", type=CHR, devmajor=0, devminor=0)))
    refused(builder, image, "poses as overlay's whiteout")


@pytest.mark.parametrize("kind", ["overlay", "scan"])
def test_whiteouts_that_retype(builder, images, victim, kind):
    machine = str(victim.parent)
    image = images.push(
        layer(member("d/victim", b"1"), member("e/old", b"1"), member("f", b"1")),
        layer(
            member(".wh.d"),
            member("d", type=SYM, linkname=machine),
            member(".wh.e"),
            member("e", type=DIR, mode=0o755),
            member("e/new", b"2"),
            member(".wh.f"),
            member("f", type=FIFO),
        ),
        layer(member("d/.wh.victim")),
    )
    steps = f"RUN test -L /d && test ! -e {machine}/victim && test -p /f && test $(ls /e) = new"
    done = build(builder, image, "--rootfs", kind, steps=steps)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["overlay", "scan"])
def test_duplicates_and_clashing_types_the_last_one_counts(builder, images, victim, kind):
    image = images.push(
        layer(
            member("x", type=DIR),
            member("x/deep/file", b"1"),
            member("x", b"a file now"),
            member("y", type=SYM, linkname=str(victim)),
            member("y", b"written through?"),
            member("z", b"1"),
            member("z", b"22"),
        ),
        layer(member("x", type=DIR, mode=0o755), member("z", type=DIR, mode=0o755), member("z/in", b"")),
    )
    done = build(
        builder, image, "--rootfs", kind, steps="RUN test -z $(ls /x) && test $(ls /z) = in && cat /y"
    )
    assert done.returncode == 0, done.stderr
    assert "written through?" in done.stderr


@pytest.mark.parametrize("where", ["in a file", "after the end"])
def test_a_bomb_fills_its_own_work_directory_or_nothing(builder, images, victim, where):
    tar = layer(member("zeros", b""), member("end", b""))
    if where == "in a file":
        info = tarfile.TarInfo("zeros")
        info.size = 1 << 30
        tar = info.tobuf()
    packer = zlib.compressobj(1, wbits=31)
    blob = (
        packer.compress(tar) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(1025)) + packer.flush()
    )
    assert len(blob) < 8 << 20
    image = images.push_packed([blob], (diff_id(b""),))
    builder.work.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", builder.work], check=True)
    try:
        done = build(builder, image)
        assert done.returncode == (11 if where == "in a file" else BROKEN), done.stderr
    finally:
        subprocess.run(["umount", builder.work], check=True)
        builder.work.rmdir()


def test_a_layer_that_is_not_what_the_config_says(builder, images, victim):
    image = images.push(layer(member("f", b"1")), diff_ids=(diff_id(b"something else"),))
    refused(builder, image, "its image says")


@pytest.mark.parametrize("damage", ["cut", "no gzip", "no tar", "garbage inside"])
def test_damaged_layers(builder, images, victim, damage):
    tar = layer(member("f", os.urandom(1 << 16)), member("g", b"2"))
    blob = gzip.compress(tar)
    match damage:
        case "cut":
            blob = blob[: len(blob) // 2]
        case "no gzip":
            blob = b"\x1f\x8b" + os.urandom(100)
        case "no tar":
            blob = gzip.compress(b"this is no archive" * 100)
        case "garbage inside":
            blob = blob[:1000] + bytes(100) + blob[1100:]
    refused(builder, images.push_packed([blob], (diff_id(tar),)), "the layer sha256:")


def test_a_hundred_thousand_entries(builder, images, victim):
    many = layer(
        *(member(f"many/{n % 100}", type=DIR, mode=0o755) for n in range(100)),
        *(member(f"many/{n % 100}/{n}") for n in range(100_000)),
    )
    done = build(builder, images.push(many), steps="RUN test $(find /many -type f | wc -l) = 100000")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["overlay", "scan"])
def test_users_beyond_16_bits(builder, images, victim, kind):
    image = images.push(layer(member("f", uid=4_294_967_294, gid=3_000_000_000)))
    done = build(builder, image, "--rootfs", kind, steps="RUN stat -c %u:%g /f && touch /f")
    assert done.returncode == 0, done.stderr
    assert "4294967294:3000000000" in done.stderr
    assert (builder.built().paths["/f"]["uid"], builder.built().paths["/f"]["gid"]) == (
        4_294_967_294,
        3_000_000_000,
    )


@pytest.mark.parametrize("record", ["uid=4294967295", "uid=4294967296", "gid=99999999999999999999", "uid=-1"])
def test_users_beyond_any_number(builder, images, victim, record):
    key, _, value = record.partition("=")
    refused(builder, images.push(layer(member("f", pax_headers={key: value}))))


@pytest.mark.parametrize("value", ["99999999999999999999", "-5", "1e400", "9223372036854775807"])
def test_times_beyond_any_clock(builder, images, victim, value):
    image = images.push(
        layer(
            member("f", pax_headers={"mtime": value}),
            member("d", type=DIR, mode=0o755, pax_headers={"mtime": value}),
        )
    )
    done = build(builder, image, steps="RUN test -f /f")
    assert done.returncode in {0, BROKEN}, done.stderr


def test_device_numbers_beyond_any_device(builder, images, victim):
    info, _ = member("dev", type=CHR)
    header = bytearray(info.tobuf())
    header[329:337] = b"\x80" + b"\x7f" * 7
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    refused(builder, images.push(bytes(header) + bytes(1024)))


@pytest.mark.parametrize("size", ["0", "5", "100000", "18446744073709551615"])
def test_sizes_that_lie(builder, images, victim, size):
    """The PAX record says another size than there is: what follows is no header then, or missing."""
    content = os.urandom(1500)
    info, _ = member("f", content)
    data = info.tobuf(tarfile.PAX_FORMAT)
    record = b"size=%s\n" % size.encode()
    length = next(n for n in range(1, 99) if len(b"%d " % n + record) == n)
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = tarfile.XHDTYPE, length
    extension = pax.tobuf() + (b"%d " % length + record).ljust(512, b"\0")
    refused(builder, images.push(extension + data + content.ljust(1536, b"\0") + bytes(1024)))


def test_a_million_global_headers_of_ever_new_keys(builder, images):
    """Each of their records is in force up to the end, so that they would fill the memory."""
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XGLTYPE, 17
    begin, packer, digest = header.tobuf(), zlib.compressobj(1, wbits=31), hashlib.sha256()
    packed = bytearray()
    for start in range(0, 1_000_000, 1000):
        piece = b"".join(
            begin + (b"17 key%07d=vv\n" % number).ljust(512, b"\0") for number in range(start, start + 1000)
        )
        digest.update(piece)
        packed += packer.compress(piece)
    packed += packer.flush()
    image = images.push_packed([bytes(packed)], (DiffID(Digest.parse(f"sha256:{digest.hexdigest()}")),))
    refused(builder, image, "more than 10000 PAX records are in force")


@pytest.mark.parametrize("kind", ["overlay", "scan"])
@pytest.mark.parametrize(
    ("what", "status"),
    [
        ({"type": SYM, "linkname": "MACHINE/victim"}, 6),
        ({"type": SYM, "linkname": "passwd"}, 6),
        ({"type": FIFO}, 6),
        ({"type": CHR, "devmajor": 1, "devminor": 5}, 6),
        ({"type": DIR}, 6),
    ],
    ids=["link", "circle", "fifo", "endless", "directory"],
)
def test_a_passwd_that_is_something_else(builder, images, victim, kind, what, status):
    fields = {k: v.replace("MACHINE", str(victim.parent)) if k == "linkname" else v for k, v in what.items()}
    image = images.push(layer(member("etc/passwd", **fields)))
    done = build(builder, image, "--rootfs", kind, steps="USER machine\nRUN id")
    assert done.returncode == status, done.stderr
    assert build(builder, image, "--rootfs", kind, steps="USER 5\nRUN exit 0").returncode in {0, 6}


@pytest.mark.parametrize("name", ["etc/hosts", "etc/resolv.conf", "proc", "sys", "dev", "dev/shm", "etc"])
@pytest.mark.parametrize("target", ["MACHINE", "MACHINE/new", "../../../../..", "/proc/self/root", "/"])
def test_a_mount_point_that_is_a_link_out(builder, images, victim, name, target):
    link = member(name, type=SYM, linkname=target.replace("MACHINE", str(victim.parent)))
    done = build(builder, images.push(layer(link)))
    own = name in {"dev", "proc", "sys"}  # crun would make its devices where the machine's /dev leads
    assert done.returncode in ({6} if own else {0, 6, 7}), done.stderr


@pytest.mark.parametrize("target", ["MACHINE/new", "../../../../../etc"])
def test_destinations_that_are_links_out(builder, images, victim, target):
    path = target.replace("MACHINE", str(victim.parent))
    image = images.push(layer(member("there", type=SYM, linkname=path)))
    steps = "WORKDIR /there/w\nCOPY Dockerfile /there/copied\nADD Dockerfile ./\nRUN touch /there/ran"
    done = build(builder, image, steps=steps)
    assert done.returncode == 0, done.stderr
    assert not Path("/etc/copied").exists()
