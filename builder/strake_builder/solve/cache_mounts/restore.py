"""Puts a kept cache mount on disk. Listing and packs are somebody else's: nothing leaves the directory.

The listing decides what there is, and of a pack only the content of files that the listing has in it is
taken: a member that is a link, a device or of another size is no such content. Directories come first and
links last, so that no content is ever written through a link.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager

from strake_builder import interrupt
from strake_builder.cache.mounts.listing import Entries, Kind, Listed, Listing, Pack, UnsoundListingError
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.tar_reader import Content, read_members
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.lookup import stat_at
from strake_builder.rootfs.files.owner import set_owner
from strake_builder.rootfs.files.path_walk import ResolvedPath
from strake_builder.rootfs.unpack.members import make_file
from strake_oci.images import Readable
from strake_oci.read_ahead import ReadAhead

OpenPack = Callable[[Pack], AbstractContextManager[Readable]]


def restore(listing: Listing, directory: str, open_pack: OpenPack) -> None:
    """Fill an empty directory.

    Args:
        listing: what is kept.
        directory: it is empty, and nobody else uses it.
        open_pack: opens a pack, whose digest is checked at its end.

    Raises:
        UnsoundListingError: a pack does not hold what the listing says.
        LayerError: a pack is damaged.
        UnsupportedError: an owner is none that this builder can give.
        OCIError: a pack cannot be had.
        OSError: the disk is full or broken.
    """
    directories = [(path, each) for path, each in listing.entries.items() if each.kind is Kind.DIRECTORY]
    with Root(directory) as root:
        for path, _ in sorted(directories):
            if path:
                with root.at(path, follow=False) as location:
                    os.mkdir(location.name, 0o700, dir_fd=location.directory)
        for pack in listing.packs:
            wanted = {path: each for path, each in listing.entries.items() if each.pack == pack.digest}
            with open_pack(pack) as packed:
                _unpack(root, pack, wanted, packed)
        _link(root, listing.entries)
        for path, each in sorted(directories, reverse=True):
            _finish(root, path, each)


def _unpack(root: Root, pack: Pack, wanted: dict[bytes, Listed], packed: Readable) -> None:
    """Write the files that a pack has the content of."""
    with ReadAhead(_Bounded(DecompressedStream(packed), pack.plain)) as stream, _Parents(root) as parents:
        for member, content in read_members(stream):
            each = wanted.pop(member.path, None)
            if each is None:
                continue
            if member.type is not EntryType.FILE or content.extents is not None or member.size != each.size:
                raise UnsoundListingError(
                    f"a pack has {repr(member.path[:200])[1:]} otherwise than its listing"
                )
            _write(parents.at(member.path), member, each, content)
        while stream.read(1 << 20):  # the digest is known at the very end
            pass
    for _ in interrupt.pieces(packed):  # and belongs to what follows the stream, too
        pass
    if wanted:
        raise UnsoundListingError(f"a pack lacks {len(wanted)} files of its listing")


def _write(location: ResolvedPath, member: Entry, each: Listed, content: Content) -> None:
    if location.stat is not None:
        raise UnsoundListingError("a pack has a file where something else is")
    make_file(
        location, member._replace(mode=each.mode, uid=each.uid, gid=each.gid, xattrs={}, mtime=0), content
    )
    os.utime(
        location.name, ns=(each.mtime_ns, each.mtime_ns), dir_fd=location.directory, follow_symlinks=False
    )


def _link(root: Root, entries: Entries) -> None:
    for path, each in entries.items():
        interrupt.check()
        if each.kind is Kind.HARD_LINK:
            with root.at(each.target, follow=False) as target, root.at(path, follow=False) as location:
                os.link(
                    target.name,
                    location.name,
                    src_dir_fd=target.directory,
                    dst_dir_fd=location.directory,
                    follow_symlinks=False,
                )
    for path, each in entries.items():
        if each.kind is Kind.SYMLINK:
            with root.at(path, follow=False) as location:
                os.symlink(each.target, location.name, dir_fd=location.directory)
                set_owner(location.name, (each.uid, each.gid), path, location.directory)


def _finish(root: Root, path: bytes, each: Listed) -> None:
    """Give a directory its owner, mode and time, now that nothing is made in it any more."""
    with root.directory(path) as fd:
        found = f"/proc/self/fd/{fd}/."
        set_owner(found, (each.uid, each.gid), path)
        os.chmod(found, each.mode)
        os.utime(found, ns=(each.mtime_ns, each.mtime_ns))


class _Parents:
    """Finds files, the last directory kept open: a pack has its files in the order of their paths."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._scope = contextlib.ExitStack()
        self._path: bytes | None = None
        self._fd = -1

    def at(self, path: bytes) -> ResolvedPath:
        """Return where a path leads; its directory is open until the next call."""
        parent, _, name = path.rpartition(b"/")
        if parent != self._path:
            self._scope.close()
            self._fd = self._scope.enter_context(self._root.directory(parent))
            self._path = parent
        return ResolvedPath(self._fd, name, path, stat_at(self._fd, name))

    def __enter__(self) -> _Parents:
        return self

    def __exit__(self, *_: object) -> None:
        self._scope.close()


class _Bounded:
    """A stream that ends with an error where it is longer than announced."""

    def __init__(self, source: Readable, size: int) -> None:
        self._source = source
        self._left = size

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UnsoundListingError("a pack is longer than its listing says")
        return data
