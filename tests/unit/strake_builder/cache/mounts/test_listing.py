from __future__ import annotations

import json

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
from strake_oci.spec.digest import Digest

PACK = Pack(Digest.sha256(b"pack"), 10, 2048)
LISTING = Listing(
    {
        b"": Listed(Kind.DIRECTORY, 0o1777),
        b"d": Listed(Kind.DIRECTORY, 0o2755, 1, 2, mtime_ns=5),
        b"d/\xff\xc3\xa9": Listed(Kind.FILE, 0o644, 3, 4, 7, 1_600_000_000_123_456_789, pack=PACK.digest),
        b"h": Listed(Kind.HARD_LINK, 0o644, target=b"d/\xff\xc3\xa9"),
        b"s": Listed(Kind.SYMLINK, 0o777, target=b"/etc/\xff"),
    },
    (PACK,),
)
TOP = ["", "directory", 0o755, 0, 0, 0, 0, "", -1]
DIGEST = str(PACK.digest)


def row(path, *, kind="file", mode=0o644, size=1, target="", at=0, mtime=0, uid=0):
    return [path, kind, mode, uid, 0, size, mtime, target, at]


def test_round_trip():
    assert read_listing(write_listing(LISTING)) == LISTING
    assert (LISTING.size, LISTING.files) == (7, 1)


@pytest.mark.parametrize(
    "bad",
    [
        row("../x"),
        row("a/../x"),
        row("/x"),
        row("x/"),
        row("."),
        row("a//b"),
        row("a\0b"),
        row("n" * 256),
        row("d/x"),
        row("x", mode=0o4755),
        row("x", mode=0o10644),
        row("x", mode=-1),
        row("x", size=-1),
        row("x", size=2**63),
        row("x", mtime=2**63),
        row("x", uid=2**32 - 1),
        row("x", at=-1),
        row("x", at=1),
        row("x", kind="device", at=-1),
        row("x", kind="symlink", target="", size=0, at=-1),
        row("x", kind="symlink", target="a\0b", size=0, at=-1),
        row("x", kind="hardlink", target="/etc/passwd", size=0, at=-1),
        row("x", kind="hardlink", target="y", size=0, at=-1),
        row("x", kind="hardlink", target="", size=0, at=-1),
        row("x", kind="directory", mode=0o7777, size=0, at=-1),
        row("x", kind="directory", size=5, at=-1),
        row("ȸ"),
        [*row("x"), "more"],
        "x",
        None,
    ],
    ids=str,
)
def test_what_cannot_be_on_a_disk_is_refused(bad):
    document = {"packs": [[DIGEST, 10, 2048]], "entries": [TOP, bad]}
    with pytest.raises(UnsoundListingError):
        read_listing(json.dumps(document).encode())


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"packs":[],"entries":[],"more":1}',
        b'{"packs":[["sha256:x",1,1]],"entries":[]}',
        b'{"packs":[],"entries":' + b"[" * 100_000,
        json.dumps({"packs": [], "entries": [row("", at=-1)]}).encode(),
        json.dumps({"packs": [[DIGEST, 1, 1]], "entries": [TOP, row("x"), row("x/y")]}).encode(),
        json.dumps({"packs": [[DIGEST, 1, 1]], "entries": [TOP, row("x"), row("x")]}).encode(),
        json.dumps({"packs": [[DIGEST, 1, 1]] * 257, "entries": [TOP]}).encode(),
    ],
    ids=range(10),
)
def test_other_documents_are_refused(document):
    with pytest.raises(UnsoundListingError):
        read_listing(document)
