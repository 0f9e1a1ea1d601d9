"""Copies files and trees into a root file system by the rules of COPY.

The rules are BuildKit's (its file operations stand on tonistiigi/fsutil's copy package):

- a file goes into the destination where that is a directory or ends with a slash, else it becomes it;
- of a directory the content is copied, and the destination is a directory;
- directories merge: those below the destination take the source's metadata, the destination itself
  keeps what it has;
- a destination that is made, and its parents that are made on the way, get the mode that the options say:
  with an octal `--chmod` its permissions without setuid, setgid and sticky, else 0755;
- the destination's own links are followed; a link in a directory that a file goes into is replaced by it;
- a directory that is there and that patterns leave out, but for something in it, takes permissions alone;
- hard links within one source stay hard links.
"""

from __future__ import annotations

import contextlib
import os
import stat

from strake_builder.errors import StepError
from strake_builder.rootfs.copying.copier import CREATE, Copier, make_room, shown
from strake_builder.rootfs.copying.deferral import Deferral
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.file_content import write_all
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.lookup import OPEN_DIRECTORY
from strake_builder.rootfs.files.owner import set_owner
from strake_builder.rootfs.files.path_walk import NewDirectory, ResolvedPath


def copy_path(
    source: Root,
    path: bytes,
    target: Root,
    destination: bytes,
    options: CopyOptions,
    name: bytes | None = None,
) -> None:
    """Copy one source, a file or a directory's content.

    Args:
        source: root that `path` is resolved in; a link in its last component is followed.
        path: absolute or relative to the source's root, without wildcards.
        target: root that is written to.
        destination: absolute; a trailing slash says that it is a directory.
        options: see `CopyOptions`.
        name: of a file in a directory that it goes into; its own where None.

    Raises:
        StepError: the source is missing, or the destination cannot hold it.
        PathError: a path cannot be resolved.
        Exception: it is to stop; see `interrupt`.
    """
    if options.deferred is not None:
        options.deferred.read_from(source.path)
    with source.at(path) as origin:
        if origin.stat is None:
            raise StepError(f"{shown(path)} does not exist")
        if origin.is_directory:
            _copy_tree(origin, target, destination, options)
        else:
            own = path.rpartition(b"/")[2]
            _copy_into(origin, origin.stat, own if name is None else name, target, destination, options)


def copy_whole(source: Root, path: bytes, target: Root, destination: bytes) -> None:
    """Copy a file, or a directory with its own attributes, which COPY leaves out.

    Args:
        source: root that `path` is resolved in.
        path: in the source.
        target: root that is written to.
        destination: absolute: what the copy is.

    Raises:
        StepError: as `copy_path`; PathError and others, too.
    """
    copy_path(source, path, target, destination, CopyOptions())
    with source.at(path) as origin:
        found = origin.stat
    if found is not None and stat.S_ISDIR(found.st_mode):
        with target.directory(destination) as location:
            fd = os.open(f"/proc/self/fd/{location}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            set_owner(fd, (found.st_uid, found.st_gid))
            os.fchmod(fd, stat.S_IMODE(found.st_mode))
            os.utime(fd, ns=(found.st_mtime_ns, found.st_mtime_ns))
        finally:
            os.close(fd)


def write_file(
    content: bytes, name: bytes, mode: int, target: Root, destination: bytes, options: CopyOptions
) -> None:
    """Write a small file whose content is at hand, by the rules for copying a file called `name`."""
    new = options.new_directory()
    wanted, follow = _file_path(name, target, destination, new)
    with target.at(wanted, follow=follow, create=new) as location:
        make_room(location)
        fd = os.open(location.name, CREATE, 0o600, dir_fd=location.directory)
        try:
            write_all(fd, content)
            uid, gid = options.owner or (0, 0)
            set_owner(fd, (uid, gid), wanted)
            os.fchmod(fd, options.mode(mode, False) if options.mode else mode)
            if options.mtime_ns is not None:
                os.utime(fd, ns=(options.mtime_ns, options.mtime_ns))
        finally:
            os.close(fd)


def _file_path(name: bytes, target: Root, destination: bytes, new: NewDirectory) -> tuple[bytes, bool]:
    """Return where a file called `name` goes, and whether a link there is followed.

    A destination that must be a directory is made.
    """
    if destination.endswith(b"/"):
        target.make_directories(destination, new)
        return destination + name, False
    found = target.stat(destination)
    if found is not None and stat.S_ISDIR(found.st_mode):
        return destination + b"/" + name, False
    return destination, True


def _copy_into(
    origin: ResolvedPath,
    found: os.stat_result,
    name: bytes,
    target: Root,
    destination: bytes,
    options: CopyOptions,
) -> None:
    """Copy one thing that is no directory to a destination that may be one."""
    new = options.new_directory()
    wanted, follow = _file_path(name, target, destination, new)
    with (
        target.at(wanted, follow=follow, create=new) as location,
        contextlib.closing(_copier(origin, location.path, target, options)) as copier,
    ):
        make_room(location)
        copier.one(origin, found, location)


def _copy_tree(origin: ResolvedPath, target: Root, destination: bytes, options: CopyOptions) -> None:
    found = target.stat(destination)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise StepError(f"cannot copy a directory onto {shown(destination)}, which is no directory")
    new = options.new_directory()
    made = target.make_directories(destination, new)
    source_fd = os.open(origin.name, OPEN_DIRECTORY, dir_fd=origin.directory)
    try:
        with target.directory(destination) as fd:
            into = target.resolve(destination)
            with contextlib.closing(_copier(origin, into, target, options)) as copier:
                copier.tree(source_fd, fd)
            if made and options.mtime_ns is not None:
                os.utime(f"/proc/self/fd/{fd}", ns=(options.mtime_ns, options.mtime_ns))
    finally:
        os.close(source_fd)


def _copier(origin: ResolvedPath, path: bytes, target: Root, options: CopyOptions) -> Copier:
    deferred = options.deferred
    deferral = Deferral(deferred, options, origin.path, path) if deferred is not None else None
    return Copier(options, target.beside, deferral)
