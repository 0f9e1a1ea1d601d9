"""What a kept cache mount holds: every path with its metadata, and the pack that has a file's content.

A *pack* is a blob with the content of some files, a tar stream packed with zstd. The listing is apart from
the packs, so that a build that adds one file writes one small pack and a new listing, and nothing else moves.

Only what makes sense on another machine is listed: directories, files, symbolic and hard links. Set-user-ID,
set-group-ID of files and extended attributes are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from strake_oci.errors import InvalidDigestError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest

MAX_ENTRIES: Final = 200_000
"""Paths of one mount: its listing is in memory, about half a kilobyte each."""
MAX_PACKS: Final = 256
_MAX_ID: Final = (1 << 32) - 2
_MAX_TIME: Final = (1 << 63) - 1
_PATH_MAX: Final = 4096
_NAME_MAX: Final = 255


class UnsoundListingError(Exception):
    """A kept cache mount that is none, or contradicts itself; the message says why."""


class Kind(Enum):
    """What is at a path."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARD_LINK = "hardlink"


@dataclass(frozen=True, slots=True)
class Listed:
    """What is at one path.

    Attributes:
        kind: what it is.
        mode: permission bits; `0o777` at most for files, `0o3777` for directories.
        uid: owner.
        gid: group.
        size: bytes of a file.
        mtime_ns: of files and directories, in nanoseconds: build tools compare them.
        target: of a symbolic link verbatim, of a hard link a path that has a file.
        pack: digest of the blob with a file's content; None where nothing has it yet.
    """

    kind: Kind
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    target: bytes = b""
    pack: Digest | None = None

    def is_as(self, other: Listed | None) -> bool:
        """Say whether another one is the same, wherever its content is.

        The time of a directory does not count: whatever is made there and removed again changes it.
        """
        if other is None or self.kind is not other.kind:
            return False
        time = 0 if self.kind is Kind.DIRECTORY else other.mtime_ns
        mine = 0 if self.kind is Kind.DIRECTORY else self.mtime_ns
        return replace(self, pack=None, mtime_ns=mine) == replace(other, pack=None, mtime_ns=time)


@dataclass(frozen=True, slots=True)
class Pack:
    """A blob with the content of files.

    Attributes:
        digest: of the blob.
        size: bytes of the blob.
        plain: bytes of its tar stream.
    """

    digest: Digest
    size: int
    plain: int


Entries = Mapping[bytes, Listed]
"""By path, relative to the mount and without a slash at either end; b"" is the mount's own directory."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A kept cache mount.

    Attributes:
        entries: what it holds.
        packs: the blobs that have the content, each used by some file.
    """

    entries: Entries = field(default_factory=dict)
    packs: tuple[Pack, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.entries.values())

    @property
    def files(self) -> int:
        """How many files it has."""
        return sum(each.kind is Kind.FILE for each in self.entries.values())


class _Wire(BaseModel):
    """The JSON document. Paths are bytes, and each is one character (ISO 8859-1)."""

    model_config = ConfigDict(strict=True, extra="forbid")

    packs: Annotated[
        list[tuple[str, Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]],
        Field(max_length=MAX_PACKS),
    ]
    """Digest, size, bytes of the tar stream."""
    entries: Annotated[
        list[
            tuple[
                Annotated[str, Field(max_length=_PATH_MAX)],
                str,
                Annotated[int, Field(ge=0, le=0o3777)],
                Annotated[int, Field(ge=0, le=_MAX_ID)],
                Annotated[int, Field(ge=0, le=_MAX_ID)],
                Annotated[int, Field(ge=0, le=_MAX_TIME)],
                Annotated[int, Field(ge=-_MAX_TIME, le=_MAX_TIME)],
                Annotated[str, Field(max_length=_PATH_MAX)],
                Annotated[int, Field(ge=-1, lt=MAX_PACKS)],
            ]
        ],
        Field(max_length=MAX_ENTRIES),
    ]
    """Path, kind, mode, uid, gid, size, mtime in ns, target, position of the pack; parents come first."""


def write_listing(listing: Listing) -> bytes:
    """Return the document of a listing; the same listing gives the same bytes."""
    positions = {pack.digest: at for at, pack in enumerate(listing.packs)}
    packs = [[str(each.digest), each.size, each.plain] for each in listing.packs]
    entries = [
        [
            path.decode("latin-1"),
            each.kind.value,
            each.mode,
            each.uid,
            each.gid,
            each.size,
            each.mtime_ns,
            each.target.decode("latin-1"),
            positions[each.pack] if each.pack is not None else -1,
        ]
        for path, each in sorted(listing.entries.items())
    ]
    return json.dumps({"packs": packs, "entries": entries}, separators=(",", ":")).encode()


def read_listing(data: bytes) -> Listing:
    """Read a document that somebody else may have written.

    Raises:
        UnsoundListingError: it is something else, or what it says cannot be on a disk.
    """
    try:
        wire = _Wire.model_validate_json(data)
        packs = tuple(Pack(Digest.parse(digest), size, plain) for digest, size, plain in wire.packs)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UnsoundListingError(f"its listing is none: {first['msg'][:200]}") from error
    except InvalidDigestError as error:
        raise UnsoundListingError(f"its listing is none: {error.message}") from error
    entries: dict[bytes, Listed] = {}
    for text, kind, mode, uid, gid, size, mtime_ns, target, at in wire.entries:
        try:
            path, link = text.encode("latin-1"), target.encode("latin-1")
            found = Listed(
                Kind(kind), mode, uid, gid, size, mtime_ns, link, packs[at].digest if at >= 0 else None
            )
        except (ValueError, IndexError) as error:
            raise UnsoundListingError(f"an entry of its listing is none: {error}") from error
        _check(path, found, entries)
        entries[path] = found
    _check_links(entries)
    return Listing(entries, packs)


def _check(path: bytes, found: Listed, before: Entries) -> None:
    shown = repr(path[:200])[1:]
    if path in before:
        raise UnsoundListingError(f"its listing has {shown} twice")
    if not path:
        if found.kind is not Kind.DIRECTORY:
            raise UnsoundListingError("its listing has no directory at the top")
        return
    parts = path.split(b"/")
    if b"\0" in path or any(part in {b"", b".", b".."} or len(part) > _NAME_MAX for part in parts):
        raise UnsoundListingError(f"its listing has the path {shown}")
    parent = before.get(path.rpartition(b"/")[0])
    if parent is None or parent.kind is not Kind.DIRECTORY:
        raise UnsoundListingError(f"its listing has {shown} in no directory")
    if found.kind is Kind.SYMLINK and (not found.target or b"\0" in found.target):
        raise UnsoundListingError(f"its listing has the link {shown} without a target")
    if (found.kind is Kind.FILE) != (found.pack is not None):
        raise UnsoundListingError(f"its listing has {shown} without content, or with too much")
    if found.kind is not Kind.FILE and found.size:
        raise UnsoundListingError(f"its listing gives {shown} a size")
    if found.kind is not Kind.DIRECTORY and found.mode > 0o777:  # noqa: PLR2004 - permission bits
        raise UnsoundListingError(f"its listing gives {shown} another user's rights")


def _check_links(entries: Entries) -> None:
    for path, each in entries.items():
        if each.kind is Kind.HARD_LINK:
            target = entries.get(each.target)
            if target is None or target.kind is not Kind.FILE:
                raise UnsoundListingError(
                    f"the hard link {repr(path[:200])[1:]} of its listing leads to no file"
                )
