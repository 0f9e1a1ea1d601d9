"""Cache mounts of an attacker who can write to the repository: nothing leaves the mount's directory.

Listing and packs come from a registry, and both may be made by hand. Each attack is one of them that was made
so; what counts is what is on the builder's disk afterwards.
"""

from __future__ import annotations

import io
import os
import stat

import pytest

from strake_builder.cache.mounts.listing import (
    Kind,
    Listed,
    Listing,
    Pack,
    UnsoundListingError,
    read_listing,
    write_listing,
)
from strake_builder.layers.compression import compressor
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.errors import LayerError
from strake_builder.layers.tar_writer import END_OF_ARCHIVE, encode_header, padding
from strake_builder.rootfs.errors import PathError
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.cache_mounts.packing import pack_stream
from strake_builder.solve.cache_mounts.restore import restore
from strake_builder.solve.cache_mounts.scan import scan
from strake_oci.spec.digest import Digest
from strake_oci.spec.mediatype import Compression

TOP = {b"": Listed(Kind.DIRECTORY)}


def packed(*members: tuple[Entry, bytes]) -> tuple[Pack, bytes]:
    plain = (
        b"".join(encode_header(entry) + data + padding(len(data)) for entry, data in members) + END_OF_ARCHIVE
    )
    pack = compressor(Compression.ZSTD)
    blob = pack.compress(plain) + pack.flush()
    return Pack(Digest.sha256(blob), len(blob), len(plain)), blob


def file(path: bytes, content: bytes = b"evil", **fields) -> tuple[Entry, bytes]:
    return Entry(path, EntryType.FILE, size=len(content), **fields), content


def listed(pack: Pack, size: int = 4, mode: int = 0o644) -> Listed:
    return Listed(Kind.FILE, mode, size=size, pack=pack.digest)


@pytest.fixture
def restored(tmp_path):
    """Restore into a directory beside one that nothing may change."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("mine")
    inside = tmp_path / "mount"
    inside.mkdir()

    def run(entries, pack, blob):
        try:
            restore(Listing(TOP | entries, (pack,)), str(inside), lambda _: io.BytesIO(blob))
        finally:
            assert (outside / "victim").read_text() == "mine"
            assert sorted(os.listdir(tmp_path)) == ["mount", "outside"]
        return inside

    return run


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        file(b"../outside/victim"),
        file(b"/etc/f"),
        file(b"f", b"another size"),
        (Entry(b"f", EntryType.SYMLINK, target=b"../outside/victim"), b""),
        (Entry(b"f", EntryType.HARD_LINK, target=b"../outside/victim"), b""),
        (Entry(b"f", EntryType.CHAR_DEVICE, device=(1, 8)), b""),
        (Entry(b"f", EntryType.DIRECTORY), b""),
    ],
    ids=lambda value: value.path.decode() if isinstance(value, Entry) else "",
)
def test_a_pack_with_something_else_than_its_listing_has(restored, entry, content):
    pack, blob = packed((entry, content))
    with pytest.raises(UnsoundListingError):
        restored({b"f": listed(pack)}, pack, blob)


def test_what_the_listing_does_not_name_is_not_written(restored):
    pack, blob = packed(file(b"f"), file(b"g"), file(b"f"), file(b"d/h"))
    assert os.listdir(restored({b"f": listed(pack)}, pack, blob)) == ["f"]


def test_rights_come_from_the_listing_alone(restored):
    pack, blob = packed(file(b"f", mode=0o4777, xattrs={b"security.capability": b"\1" * 20}))
    inside = restored({b"f": listed(pack)}, pack, blob)
    assert stat.S_IMODE((inside / "f").stat().st_mode) == 0o644
    assert os.listxattr(inside / "f") == []


@pytest.mark.parametrize("target", [b"../outside", b"/", b"/etc"])
def test_no_content_goes_through_a_link_of_the_listing(restored, target):
    """Such a listing is refused when it is read; here it was not."""
    pack, blob = packed(file(b"l/victim"))
    entries = {b"l": Listed(Kind.SYMLINK, 0o777, target=target), b"l/victim": listed(pack)}
    with pytest.raises(UnsoundListingError):
        read_listing(write_listing(Listing(TOP | entries, (pack,))))
    with pytest.raises(Exception, match="l"):
        restored(entries, pack, blob)


def test_a_pack_that_is_longer_than_announced_ends(restored):
    pack, blob = packed(file(b"f"), file(b"zeros", bytes(50 << 20)))
    with pytest.raises(UnsoundListingError, match="longer"):
        restored({b"f": listed(pack)}, Pack(pack.digest, pack.size, 4096), blob)


def test_a_pack_that_is_none(restored):
    pack, _ = packed(file(b"f"))
    with pytest.raises((LayerError, UnsoundListingError)):
        restored({b"f": listed(pack)}, pack, b"\x28\xb5\x2f\xfdnonsense")


def test_a_step_that_leaves_links_packs_nothing_from_outside(tmp_path):
    """The tree is the step's: links to the builder's files are links in the listing, and no content."""
    mount, secret = tmp_path / "mount", tmp_path / "secret"
    (mount / "d").mkdir(parents=True)
    secret.write_text("hidden")
    (mount / "link").symlink_to(secret)
    (mount / "up").symlink_to("..")
    os.mknod(mount / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mkfifo(mount / "pipe")
    (mount / "d/f").write_text("mine")
    found = scan(str(mount), 1 << 20)
    assert {path: each.kind for path, each in found.items()} == {
        b"": Kind.DIRECTORY,
        b"d": Kind.DIRECTORY,
        b"d/f": Kind.FILE,
        b"link": Kind.SYMLINK,
        b"up": Kind.SYMLINK,
    }
    (mount / "d").rename(mount / "e")
    (mount / "d").symlink_to(tmp_path)
    (tmp_path / "f").write_text("evil")
    with Root(str(mount)) as root, pytest.raises(PathError):
        b"".join(pack_stream(root, [b"d/f"], found))
