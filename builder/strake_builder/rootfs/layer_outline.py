"""Unpacks of a layer what destinations lead through: directories, links, and what the layer takes away.

A COPY needs of the layers under it where its destination is and who owns the directories there. Files are in
its way at most, and it replaces them without a look. So they are not made: their owners, sizes and times are
noted, which tells afterwards whether a file that was copied over one could be the same.

It is the code that unpacks a layer which reads it, so that what is refused, and in what words, is the same.
Where what is not on disk would make a difference while reading, there is no outline of the layer. Every entry
counts: on a file system that is well filled, making one takes up to a millisecond.
"""

from __future__ import annotations

import stat
import struct
from typing import Final, NamedTuple

from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.errors import MalformedLayerError
from strake_builder.layers.tar_reader import Content, read_members
from strake_builder.rootfs.errors import PathError
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.path_walk import ResolvedPath
from strake_builder.rootfs.files.remove import remove_entry
from strake_builder.rootfs.outline import ACCOUNTS, UnfitForOutlineError
from strake_builder.rootfs.spill.disk_map import DiskMap
from strake_builder.rootfs.unpack.implicit_parents import write_implicit_parents
from strake_builder.rootfs.unpack.layer_applier import LayerApplier
from strake_oci.images import Readable
from strake_oci.lazy_dataclass import dataclass

_FILE: Final = struct.Struct("=HIIQQ")
"""Mode, user, group, size, and time in seconds."""
_UNLIKE_ANY: Final = b""
"""In place of what is known of a file: a device, a pipe, a link, or a file of several names, which share
an owner. Whatever is written in its place, the layer itself is asked."""
_LINK_DEPTH: Final = 2
"""Links that so many directories or more lead to are left out, too. Destinations lead through links near the
root (`lib`, `var/run`); most of an image's links are names of libraries and programs."""
_NOTHING: Final = b""


@dataclass(frozen=True, slots=True)
class LayerOutline:
    """A layer without its files.

    Attributes:
        directory: the layer, in overlay's form.
        files: paths of what is not in it, with what is known of each.
        passable: paths of the directories and links that are, and maybe of some that the layer replaced.
    """

    directory: str
    files: DiskMap
    passable: DiskMap

    def close(self) -> None:
        """Forget what was noted."""
        self.files.close()
        self.passable.close()


def outline_layer(
    source: Readable, directory: str, *, lowest: bool, parents_file: str, scratch: str, limit: int
) -> LayerOutline:
    """Read a layer's tar stream to its end, and unpack its outline into an empty directory.

    Args:
        source: the tar stream, not compressed.
        directory: an empty directory.
        lowest: there is no layer under this one.
        parents_file: where to note the directories that the layer leaves to lower ones (`implicit_parents`).
        scratch: a directory on disk, for what is noted.
        limit: bytes that the layer may take when it is unpacked, see `Allowance`.

    Raises:
        UnfitForOutlineError: there can be none; the layer may be malformed or not.
        LayerError, OSError: as `unpack_layer`.
    """
    made = LayerOutline(directory, DiskMap(scratch), DiskMap(scratch))
    try:
        with Root(directory) as root, _Applier(root, made, lowest=lowest, limit=limit) as applier:
            for entry, content in read_members(source):
                applier.apply(entry, content)
            applier.note_implicit_parents(parents_file)
            applier.finish()
    except BaseException:
        made.close()
        raise
    return made


class WrittenFile(NamedTuple):
    """A regular file that a step wrote: permissions, owner, bytes, and time in nanoseconds."""

    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int


def could_be_same(known: bytes, written: WrittenFile | None) -> bool:
    """Say whether what a step wrote may be what a layer had at its path, which only the content tells.

    Args:
        known: of the layer's, from `LayerOutline.files`.
        written: what the step wrote; None for what is no regular file.
    """
    if known == _UNLIKE_ANY or written is None:
        return True
    *there, seconds = _FILE.unpack(known)
    return (*there, seconds * 1_000_000_000) == written


def mode_owner_time(known: bytes) -> tuple[int, int, int, int, int] | None:
    """Return mode with type, user, group, size and seconds of a file; None where not that much is known."""
    if known == _UNLIKE_ANY:
        return None
    mode, uid, gid, size, seconds = _FILE.unpack(known)
    return stat.S_IFREG | mode, uid, gid, size, seconds


class _Applier(LayerApplier):
    """Applies members, but leaves files out."""

    def __init__(self, root: Root, made: LayerOutline, *, lowest: bool, limit: int) -> None:
        super().__init__(root, layer=True, lowest=lowest, limit=limit)
        self._files = made.files
        self._passable = made.passable

    def apply(self, entry: Entry, content: Content) -> None:
        if entry.is_aufs_data or content.extents is not None:
            raise UnfitForOutlineError(f"{entry.path!r} is of a kind that is rarely there")
        super().apply(entry, content)

    def note_implicit_parents(self, path: str) -> None:
        if self._links_open:
            raise UnfitForOutlineError("a hard link names a file of a lower layer, or none")
        write_implicit_parents(path, self._implied, self._whiteouts.directories, links=False)

    def _has(self, path: bytes) -> bool:
        return self._files.get(path) is not None

    def _missing_directory(self, parent: int, name: bytes, path: bytes) -> bool:
        if self._has(path):
            raise UnfitForOutlineError(f"{path!r} is passed through, and a file")
        self._passable.setdefault(path, _NOTHING)
        return super()._missing_directory(parent, name, path)

    def _make(self, location: ResolvedPath, entry: Entry, content: Content) -> None:
        path = location.path
        if self._has(path) and entry.type is EntryType.DIRECTORY:
            raise UnfitForOutlineError(f"the file {path!r} is replaced by a directory")
        self._files.discard(path)
        if location.is_directory and entry.type is not EntryType.DIRECTORY:
            raise UnfitForOutlineError(f"the directory {path!r} is replaced")
        match entry.type:
            case EntryType.SYMLINK if path.count(b"/") >= _LINK_DEPTH:
                self._leave_out(location, _UNLIKE_ANY)
            case EntryType.DIRECTORY | EntryType.SYMLINK:
                super()._make(location, entry, content)
                self._passable.setdefault(path, _NOTHING)
            case EntryType.HARD_LINK:
                self._outline_link(location, entry, content)
            case EntryType.FILE if path in ACCOUNTS:
                super()._make(location, entry, content)
            case EntryType.FILE:
                known = (entry.mode, entry.uid, entry.gid, entry.size, entry.mtime)
                self._leave_out(location, _FILE.pack(*known))
            case EntryType.CHAR_DEVICE if entry.device == (0, 0):
                super()._make(location, entry, content)  # which refuses it
            case _:
                self._leave_out(location, _UNLIKE_ANY)

    def _outline_link(self, location: ResolvedPath, entry: Entry, content: Content) -> None:
        """Note another name of a file that is left out, and make one of anything else."""
        left_out = self._find_left_out(entry.target)
        if left_out is None:
            try:
                super()._make(location, entry, content)
            except MalformedLayerError as error:  # unless a link on the way to the file is left out
                raise UnfitForOutlineError("a hard link names what is not in the outline") from error
            self._passable.setdefault(location.path, _NOTHING)
            return
        self._files.discard(left_out)
        self._files.setdefault(left_out, _UNLIKE_ANY)
        self._leave_out(location, _UNLIKE_ANY)

    def _find_left_out(self, target: bytes) -> bytes | None:
        """Return the path without links of a file that is left out, None where there is no such file."""
        if b".." in target.split(b"/"):
            return None
        try:
            with self._root.at(target, follow=False) as found:
                return found.path if self._has(found.path) else None
        except PathError:
            return None

    def _leave_out(self, location: ResolvedPath, known: bytes) -> None:
        if location.stat is not None:  # a link, or a whiteout
            remove_entry(location.directory, location.name)
        self._files.setdefault(location.path, known)
