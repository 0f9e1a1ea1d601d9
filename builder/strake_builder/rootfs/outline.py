"""What a COPY or ADD must know of its lower layers, small enough to be kept with its result.

It writes into a few directories. Whether something is in its place there, who owns the directory,
where a link leads: the listings of those directories tell. Over them alone it makes the very layer that it
makes over the layers themselves, which then need be neither pulled nor unpacked.

An outline is a layer of what the last run of a step met: every directory that it wrote into, with what is
in it. What it does not have (what is in the other directories, what is in files that were not in the way)
is marked, and whether the next run came near any of that is looked up when it is done.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from strake_builder.layers.entry import WHITEOUT_PREFIX, Entry, EntryType
from strake_builder.layers.errors import MalformedLayerError
from strake_builder.layers.tar_reader import Content, read_members
from strake_builder.rootfs.copying.deferred import DeferredFile, DeferredFiles
from strake_builder.rootfs.diff.change import NO_CONTENT, Change, HeldContent, open_content
from strake_builder.rootfs.files.lookup import lstat_or_none
from strake_builder.rootfs.stack.layer_stack import Found, LayerStack
from strake_builder.rootfs.stack.lower_layers import read_xattrs
from strake_builder.rootfs.unpack.archive import unpack_members
from strake_oci.images import Readable
from strake_oci.lazy_dataclass import dataclass

_UNREAD: Final = b"user.strake.unread"
"""Marks a directory whose members, or a file whose content is left out; its value is the file's size."""

_MEMBERS: Final = 4000
_FILE: Final = 64 * 1024
_CONTENT: Final = 1024 * 1024
_SIZE_DIGITS: Final = 15
ACCOUNTS: Final = (b"etc/passwd", b"etc/group")
"""What users and groups are looked up in."""


class UnfitForOutlineError(Exception):
    """The lower layers are too large for an outline, or of a form that one cannot have."""


class Lowers(Protocol):
    """The lower layers of a step, as `LayerStack`; what has no path was left out."""

    def find(self, path: bytes) -> Found | None:
        """As `LayerStack.find`."""
        ...

    def members(self, path: bytes, limit: int) -> dict[bytes, Found] | None:
        """As `LayerStack.members`."""
        ...


def listed(upper: str, destination: bytes) -> Callable[[bytes], bool]:
    """Return what says of a directory whether its members are part of an outline."""
    outlining = _Outlining(LayerStack(()), os.fsencode(upper), _way(destination), accounts=False)
    return lambda path: not path or outlining.is_entered(path)


def outline_of(
    lowers: Lowers,
    upper: str,
    destination: bytes,
    *,
    accounts: bool,
    deferred: DeferredFiles | None = None,
) -> Iterator[Change]:
    """Yield the members of an outline, parents before children.

    Args:
        lowers: the lower layers of the step.
        upper: what the step wrote.
        destination: where it writes; the way there is part of the outline.
        accounts: the step looks up users and groups.
        deferred: files of the step that it did not write.

    Raises:
        UnfitForOutlineError: there can be none.
    """
    top, way = os.fsencode(upper), _way(destination)
    return _Outlining(lowers, top, way, accounts=accounts, deferred=deferred).members()


def _way(destination: bytes) -> bytes:
    return b"/".join(part for part in destination.split(b"/") if part)


class _Outlining:
    def __init__(
        self,
        stack: Lowers,
        upper: bytes,
        way: bytes,
        *,
        accounts: bool,
        deferred: DeferredFiles | None = None,
    ) -> None:
        self._stack = stack
        self._upper = upper
        self._deferred = deferred
        self._way = way
        self._accounts = ACCOUNTS if accounts else ()
        self._room = _CONTENT
        self._left = _MEMBERS
        self._content = HeldContent()

    def members(self) -> Iterator[Change]:
        with contextlib.closing(self._content):
            yield from self._members()

    def _members(self) -> Iterator[Change]:
        top = self._stack.find(b"")
        if top is None:
            raise UnfitForOutlineError("there is no lower layer")
        yield _entry(b"", EntryType.DIRECTORY, top), NO_CONTENT
        waiting, listed = [b""], set[bytes]()
        while waiting:
            parent = waiting.pop()
            listed.add(parent)
            members = self._stack.members(parent, _MEMBERS)
            if members is None:
                raise UnfitForOutlineError(f"more than {_MEMBERS} members")
            for name, found in sorted(members.items()):
                path = parent + b"/" + name if parent else name
                entered = stat.S_ISDIR(found.stat.st_mode) and self.is_entered(path)
                yield self._member(path, found, entered=entered)
                if entered:
                    waiting.append(path)
        for path in self._accounts:
            if path.rpartition(b"/")[0] not in listed:
                yield from self._account_file(path)

    def _member(self, path: bytes, found: Found, *, entered: bool) -> Change:
        if path.rpartition(b"/")[2].startswith(WHITEOUT_PREFIX):
            raise UnfitForOutlineError("a name in the lower layers means something else in a layer")
        self._left -= 1
        if self._left < 0:
            raise UnfitForOutlineError(f"more than {_MEMBERS} members")
        mode = found.stat.st_mode
        if stat.S_ISDIR(mode):
            entry = _entry(path, EntryType.DIRECTORY, found)
            return (entry if entered else _marked(entry, b"")), NO_CONTENT
        if stat.S_ISLNK(mode):
            return _entry(path, EntryType.SYMLINK, found)._replace(
                target=os.readlink(found.where)
            ), NO_CONTENT
        if stat.S_ISREG(mode):
            return self._file(path, found)
        # To a COPY the rest is something that makes room. Devices cannot be made everywhere.
        rest = _entry(path, EntryType.FIFO, found)
        return (rest if found.where else _marked(rest, b"")), NO_CONTENT

    def _file(self, path: bytes, found: Found) -> Change:
        entry, size = _entry(path, EntryType.FILE, found), found.stat.st_size
        if not size:
            return entry, NO_CONTENT
        if path in self._accounts or self._is_in_the_way(path):
            if found.where and size <= min(_FILE, self._room):
                self._room -= size
                content, _ = open_content(path, found.where)
                return entry._replace(size=size), self._content.hold(content)
            if path in self._accounts:
                raise UnfitForOutlineError(f"{path!r} is larger than {_FILE} bytes")
        return _marked(entry, str(size).encode()), NO_CONTENT

    def _account_file(self, path: bytes) -> Iterator[Change]:
        parent = self._stack.find(path.rpartition(b"/")[0])
        if parent is None:
            return
        if not stat.S_ISDIR(parent.stat.st_mode):
            raise UnfitForOutlineError(f"{path!r} is behind a link")
        found = self._stack.find(path)
        if found is None:
            return
        if not stat.S_ISREG(found.stat.st_mode):
            raise UnfitForOutlineError(f"{path!r} is no file")
        yield self._file(path, found)

    def is_entered(self, path: bytes) -> bool:
        if self._way.startswith(path + b"/"):
            return True
        found = lstat_or_none(os.path.join(self._upper, path))
        return found is not None and stat.S_ISDIR(found.st_mode)

    def _is_in_the_way(self, path: bytes) -> bool:
        if self._deferred is not None and self._deferred.has_replaced(path):
            return True
        found = lstat_or_none(os.path.join(self._upper, path))
        return found is not None and stat.S_ISREG(found.st_mode)


@dataclass(frozen=True, slots=True)
class Outline:
    """An outline that was unpacked.

    Attributes:
        directory: a layer.
        unread: paths of what it does not have the members or the content of.
    """

    directory: str
    unread: frozenset[bytes]

    @property
    def directories(self) -> tuple[str, ...]:
        """What a step is executed over, bottom first."""
        return (self.directory,)

    def lowers(self, above: Sequence[str]) -> None:
        """Return nothing: an outline for the cache is made of layers, not of one that it has."""
        del above

    @staticmethod
    def unpack(source: Readable, directory: str) -> Outline:
        """Unpack an outline into an empty directory.

        Raises:
            MalformedLayerError: it is none, or damaged.
            OSError: the file system refused.
        """
        unread: set[bytes] = set()
        unpack_members(_unmarked(source, unread), directory, lowest=True)
        return Outline(directory, frozenset(unread))

    def suffices(self, upper: str, deferred: Iterable[DeferredFile] = ()) -> bool:
        """Say whether a step over the outline made the layer that it makes over the real layers.

        Args:
            upper: what it wrote.
            deferred: files that it did not write.
        """
        # A file whose content is not here may be the same, or have got another name: its content tells.
        top = os.fsencode(upper)
        if any(lstat_or_none(os.path.join(top, path)) is not None for path in self.unread):
            return False
        return not self.unread or all(file.path not in self.unread for file in deferred)


def _unmarked(source: Readable, unread: set[bytes]) -> Iterator[tuple[Entry, Content]]:
    """Yield an outline's members as they are unpacked, and collect what is marked."""
    size = 0
    for number, (member, content) in enumerate(read_members(source)):
        size += member.size
        if number > _MEMBERS + len(ACCOUNTS) or size > _CONTENT:
            raise MalformedLayerError("it is too large for an outline")
        mark = member.xattrs.get(_UNREAD)
        if mark is None:
            yield member, content
            continue
        entry = member._replace(xattrs={n: v for n, v in member.xattrs.items() if n != _UNREAD})
        if entry.type is EntryType.FILE:
            if not (mark.isdigit() and len(mark) <= _SIZE_DIGITS):
                raise MalformedLayerError("an outline has a file without its size")
            entry = entry._replace(size=int(mark))
        unread.add(entry.path)
        yield entry, Content(source, 0, extents=())


def _entry(path: bytes, kind: EntryType, found: Found) -> Entry:
    was, xattrs = found.stat, read_xattrs(found.where)
    if _UNREAD in xattrs:
        raise UnfitForOutlineError("the mark of an outline is in the image")
    mtime = was.st_mtime_ns // 1_000_000_000
    return Entry(path, kind, stat.S_IMODE(was.st_mode), was.st_uid, was.st_gid, mtime=mtime, xattrs=xattrs)


def _marked(entry: Entry, mark: bytes) -> Entry:
    return entry._replace(xattrs={**entry.xattrs, _UNREAD: mark})
