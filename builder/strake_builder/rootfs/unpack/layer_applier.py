"""Applies the members of an archive to a directory, one after the other, untrusted paths included.

What is open about a member when it comes (the times of directories, what it takes for granted) is settled
when all have come.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final, Self

from strake_builder.layers.entry import AUFS_LINKS, OPAQUE_WHITEOUT, WHITEOUT_PREFIX, Entry, EntryType
from strake_builder.layers.errors import MalformedLayerError, shown
from strake_builder.layers.tar_reader import Content, normalise
from strake_builder.rootfs.errors import NotInRootError, PathError
from strake_builder.rootfs.files.directory_times import DirectoryTimes
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.lookup import stat_at
from strake_builder.rootfs.files.owner import set_owner
from strake_builder.rootfs.files.path_walk import NewDirectory, ResolvedPath
from strake_builder.rootfs.files.remove import remove_entry
from strake_builder.rootfs.spill.disk_map import DiskMap
from strake_builder.rootfs.stack.whiteout import is_whiteout
from strake_builder.rootfs.unpack.allowance import ENTRY, MAX_UNPACKED, Allowance
from strake_builder.rootfs.unpack.implicit_parents import CopyUp, write_implicit_parents
from strake_builder.rootfs.unpack.members import (
    check_numbers,
    make_device,
    make_file,
    replace_xattrs,
    set_metadata,
    set_xattrs,
)
from strake_builder.rootfs.unpack.open_parents import OpenParents
from strake_builder.rootfs.unpack.whiteouts import Whiteouts
from strake_oci.lazy_dataclass import dataclass

_BLOCK: Final = 512
"""Bytes of what `st_blocks` counts."""
_DISK_TROUBLE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out of an archive.

    Attributes:
        entries: members applied.
        devices_left_out: device nodes that this process may not make (inside a user namespace
            nobody may); the layer itself still has them.
        highest_id: the highest user or group that owns one of them.
    """

    entries: int
    devices_left_out: int
    highest_id: int


class LayerApplier:
    """An archive that is being applied. Use it as a context.

    Args:
        root: the destination.
        layer: the members are a layer's: whiteouts count, and nothing may climb.
        lowest: there is no layer under this one, so that its whiteouts mean nothing and are left out.
        lowers: the lower layers, topmost first; None where they are not at hand.
        scratch: a directory on disk, for files without names; the one that holds the root where None.
        limit: bytes that it may take on disk, see `Allowance`.
    """

    def __init__(
        self,
        root: Root,
        *,
        layer: bool,
        lowest: bool,
        lowers: Sequence[str] | None = None,
        scratch: str | None = None,
        limit: int = MAX_UNPACKED,
    ) -> None:
        scratch = scratch or root.beside
        self._root = root
        self._layer = layer
        self._allowance = Allowance(limit)
        self._lowest = lowest
        self._parents = OpenParents()
        self._times = DirectoryTimes(scratch)
        self._entries = 0
        self._left_out = 0
        self._highest_id = 0
        self._whiteouts = Whiteouts(root, scratch)
        self._copy_up = CopyUp(root, lowers, self._times, self._whiteouts) if lowers is not None else None
        self._alone = layer and not lowest and lowers is None
        self._implied = DiskMap(scratch)
        self._links_open = False
        self._aufs_links = False
        self._new = NewDirectory(owner=(0, 0), maker=self._missing_directory, hands_on=not layer)

    def apply(self, entry: Entry, content: Content) -> None:
        """Apply the next member.

        Raises:
            MalformedLayerError: it is damaged, or tries to leave the root.
            TooLargeError: there is no room for it in what the archive may take.
            OSError: the disk is full or broken.
        """
        self._entries += 1
        check_numbers(entry)
        self._highest_id = max(self._highest_id, entry.uid, entry.gid)
        self._allowance.member(entry, content)
        if self._layer and b".." in entry.path.split(b"/"):
            raise MalformedLayerError(f"the member {shown(entry.path)} climbs out of the layer")
        if self._layer and entry.is_aufs_data and not self._is_aufs_link(entry):
            return
        try:
            if not entry.path:
                self._apply_root(entry)
            elif self._layer and entry.name.startswith(WHITEOUT_PREFIX) and entry.parent != AUFS_LINKS:
                self._whiteout(entry)
            else:
                with self._located(entry.path) as location:
                    replaces = location.stat is not None
                    self._make(location, entry, content)
                if replaces:
                    self._parents.forget()
        except PathError as error:
            raise MalformedLayerError(f"cannot unpack {shown(entry.path)}: {error.message}") from error
        except OverflowError as error:
            raise MalformedLayerError(f"{shown(entry.path)} has a number that is out of range") from error
        except OSError as error:
            if error.errno in _DISK_TROUBLE:
                raise
            raise MalformedLayerError(f"cannot unpack {shown(entry.path)}: {error.strerror}") from error

    def _is_aufs_link(self, entry: Entry) -> bool:
        """Say whether hard links of the layer may name a file of AUFS's: it is kept until they are made."""
        found = entry.parent == AUFS_LINKS and entry.type is EntryType.FILE
        self._aufs_links = self._aufs_links or found
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parents.forget()
        self._times.close()
        self._implied.close()
        self._whiteouts.close()
        if self._copy_up is not None:
            self._copy_up.close()

    @contextlib.contextmanager
    def _located(self, path: bytes) -> Iterator[ResolvedPath]:
        """Resolve a member's path."""
        parent, _, name = path.rpartition(b"/")
        known = self._parents.get(parent) if name != b".." else None
        if known is not None:
            yield ResolvedPath(known.directory, name, known.inside(name), stat_at(known.directory, name))
            return
        with self._root.at(path, follow=False, create=self._new) as location:
            if location.name == name:
                self._parents.add(parent, location.path.rpartition(b"/")[0], location.directory)
            yield location

    def _missing_directory(self, parent: int, name: bytes, path: bytes) -> bool:
        """Make a member's parent as the lower layers have it; note it where that is not known."""
        if path == AUFS_LINKS:
            return False
        self._allowance.take(ENTRY, path)
        there = stat_at(parent, name) if self._layer else None
        if there is not None:
            return is_whiteout(there) and self._replace_whiteout(parent, name, path)
        if self._copy_up is not None:
            return self._copy_up.directory(parent, name, path)
        if self._alone:
            self._implied.setdefault(path, b"")
        return False

    def _replace_whiteout(self, parent: int, name: bytes, path: bytes) -> bool:
        """Make a directory that hides the one that the layer took away before."""
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, 0o755, dir_fd=parent)
        os.chmod(name, 0o755, dir_fd=parent)
        with self._root.directory(path) as fd:
            self._whiteouts.hide(fd, path)
        return True

    def finish(self) -> Unpacked:
        """Set the times of directories, which every member inside has changed; say what came of it."""
        if self._aufs_links:
            with self._root.directory(b"") as fd:
                remove_entry(fd, AUFS_LINKS)
        self._whiteouts.drop_useless(self._copy_up.has_directory if self._copy_up else lambda _: True)
        self._times.set(self._root)
        return Unpacked(self._entries, self._left_out, self._highest_id)

    def note_implicit_parents(self, path: str) -> None:
        """Note in a file what is left to the lower layers."""
        whiteouts = self._whiteouts.directories if self._alone else ()
        write_implicit_parents(path, self._implied, whiteouts, links=self._links_open)

    def _apply_root(self, entry: Entry) -> None:
        """The root's own metadata; it stays a directory whatever the member claims to be."""
        if entry.type is not EntryType.DIRECTORY or not self._layer:
            return
        with self._root.directory(b"") as fd:
            path = f"/proc/self/fd/{fd}"
            set_owner(f"{path}/.", (entry.uid, entry.gid), b"/")
            os.chmod(path, entry.mode)
            self._times.note(b"", entry.mtime * 1_000_000_000)

    def _whiteout(self, entry: Entry) -> None:
        with self._root.at(entry.path, follow=False, create=self._new) as location:
            if self._lowest:
                return
            parent = location.path.rpartition(b"/")[0]
            if entry.name == OPAQUE_WHITEOUT:
                if self._copy_up is not None and self._copy_up.undo_in(parent):
                    self._parents.forget()
                self._whiteouts.hide(location.directory, parent)
                return
            name = entry.name[len(WHITEOUT_PREFIX) :]
            if name in {b"", b".", b".."}:
                raise MalformedLayerError(f"{shown(entry.path)} is a whiteout of nothing")
            path = location.path[: -len(entry.name)] + name
            found = self._find_own(path, location.directory, name)
            # layer.md: whiteouts apply to lower layers only; a path that this layer has stays.
            if found is None:
                if not self._has(path):
                    self._whiteouts.add(location.directory, name, parent)
            elif stat.S_ISDIR(found.st_mode):
                with self._root.directory(path) as fd:
                    self._whiteouts.hide(fd, path)

    def _find_own(self, path: bytes, directory: int, name: bytes) -> os.stat_result | None:
        """Return what the layer itself has at a path, and remove there what it only has from lower layers."""
        found = stat_at(directory, name)
        if found is None or self._copy_up is None or not self._copy_up.undo(path, found):
            return found
        self._parents.forget()
        return stat_at(directory, name)

    def _has(self, path: bytes) -> bool:
        """Say whether the layer has something that is not on disk; here all of it is."""
        del path
        return False

    def _make(self, location: ResolvedPath, entry: Entry, content: Content) -> None:
        self._make_room(location, entry)
        match entry.type:
            case EntryType.FILE:
                make_file(location, entry, content)
                return
            case EntryType.DIRECTORY:
                self._directory(location, entry)
                return
            case EntryType.SYMLINK:
                os.symlink(entry.target, location.name, dir_fd=location.directory)
            case EntryType.HARD_LINK:
                if not self._hard_link(location, entry):
                    return
            case EntryType.FIFO:
                os.mkfifo(location.name, entry.mode, dir_fd=location.directory)
            case EntryType.CHAR_DEVICE | EntryType.BLOCK_DEVICE:
                if not self._device(location, entry):
                    return
        set_metadata(location, entry)

    def _make_room(self, location: ResolvedPath, entry: Entry) -> None:
        if location.stat is not None and not (entry.type is EntryType.DIRECTORY and location.is_directory):
            remove_entry(location.directory, location.name)
        if self._copy_up is not None:
            self._copy_up.keep(location.path)

    def _directory(self, location: ResolvedPath, entry: Entry) -> None:
        self._implied.discard(location.path)
        if not location.is_directory:
            os.mkdir(location.name, entry.mode, dir_fd=location.directory)
            # What was in its place, a file or a whiteout, took away what the lower layers have there.
            if self._layer and not self._lowest and location.stat is not None:
                with self._root.directory(location.path) as fd:
                    self._whiteouts.hide(fd, location.path)
        set_owner(location.name, (entry.uid, entry.gid), entry.path, location.directory)
        os.chmod(location.name, entry.mode, dir_fd=location.directory)
        if self._layer and location.is_directory:
            replace_xattrs(location.proc_path, entry.xattrs)
        elif entry.xattrs:
            set_xattrs(location.proc_path, entry.xattrs, follow=False)
        self._times.note(location.path, entry.mtime * 1_000_000_000)

    def _hard_link(self, location: ResolvedPath, entry: Entry) -> bool:
        """Make another name of a file; return whether the member's metadata are to be set."""
        if self._layer and b".." in entry.target.split(b"/"):
            raise MalformedLayerError(f"the hard link {shown(entry.path)} climbs out of the layer")
        create = self._new if self._copy_up is not None else None
        try:
            with self._root.at(entry.target, follow=False, create=create) as target:
                found = self._find_file(target)
                if found is not None:
                    _link(target, location)
                    kept_aside = self._aufs_links and normalise(entry.target).startswith(AUFS_LINKS + b"/")
                    return not kept_aside and not stat.S_ISLNK(found.st_mode)
                missing = target.stat is None or self._implied.get(target.path) is not None
        except NotInRootError:
            missing = True
        except PathError:
            missing = False
        if missing and self._alone:
            self._links_open = True
            return False
        names = f"{shown(entry.path)} names {shown(entry.target)}"
        raise MalformedLayerError(f"the hard link {names}, which is no file before it")

    def _find_file(self, target: ResolvedPath) -> os.stat_result | None:
        """Return the file that a hard link names, brought up from the lower layers where they have it."""
        brought = target.stat is None and self._copy_up is not None and self._copy_up.file(target)
        found = stat_at(target.directory, target.name)
        if brought and found is not None:
            self._allowance.take(found.st_blocks * _BLOCK, target.path)
        if found is None or stat.S_ISDIR(found.st_mode) or (self._layer and is_whiteout(found)):
            return None
        return found

    def _device(self, location: ResolvedPath, entry: Entry) -> bool:
        if self._layer and entry.device == (0, 0) and entry.type is EntryType.CHAR_DEVICE:
            raise MalformedLayerError(f"{shown(entry.path)} poses as overlay's whiteout")
        made = make_device(location, entry)
        self._left_out += not made
        return made


def _link(target: ResolvedPath, location: ResolvedPath) -> None:
    if (target.directory, target.name) != (
        location.directory,
        location.name,
    ) and target.path != location.path:
        os.link(
            target.name,
            location.name,
            src_dir_fd=target.directory,
            dst_dir_fd=location.directory,
            follow_symlinks=False,
        )
