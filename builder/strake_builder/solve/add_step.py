"""Executes ADD: as COPY, but local archives are unpacked."""

from __future__ import annotations

import os
import stat

from strake_builder.errors import StepError
from strake_builder.frontend.steps import AddStep, FromContext, PathSource
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.copy import CopyOptions, copy_path
from strake_builder.rootfs.inside import NewDirectory, Root
from strake_builder.rootfs.unpack import unpack_archive
from strake_builder.solve.copy_step import mode_of, write_heredocs
from strake_builder.solve.file_origins import FileOrigins, OriginView
from strake_builder.solve.sources import filtered, find_sources
from strake_oci.platform import Platform

_TAR_MAGIC = b"ustar"
_TAR_MAGIC_AT = 257
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def execute_add(
    step: AddStep,
    owner: tuple[int, int] | None,
    target: Root,
    origins: FileOrigins,
    platform: Platform,
    reporter: Reporter,
) -> None:
    """Add what a step names.

    Args:
        step: what to add.
        owner: (uid, gid) that `--chown` means, None without it.
        target: the root to add to; with `--link` an empty one.
        origins: opens the context.
        platform: unused by ADD's own origins.
        reporter: hears of patterns that match nothing.

    Raises:
        StepError: a source is missing or cannot be where it should go.
    """
    destination = step.destination.encode(errors="surrogateescape")
    write_heredocs(step.files, target, destination, owner or (0, 0), step.chmod)
    view = origins.open(FromContext(), platform)
    with Root(view.path) as source:
        for wanted in step.sources:
            if not isinstance(wanted, PathSource):
                raise StepError("ADD of a URL or a git repository is not supported yet")
            found = list(find_sources(source, view, wanted))
            if not found:
                reporter.warn(
                    f"{wanted.path.lstrip('/')} matches nothing", step.origin.file, step.origin.span.first
                )
            for path in found:
                _add(step, source, view, wanted, path, target, owner)


def _add(
    step: AddStep,
    source: Root,
    view: OriginView,
    wanted: PathSource,
    path: bytes,
    target: Root,
    owner: tuple[int, int] | None,
) -> None:
    destination = step.destination.encode(errors="surrogateescape")
    if step.unpack is not False and _unpacked(source, path, target, destination, owner):
        return
    options = CopyOptions(owner=owner or (0, 0), mode=mode_of(step.chmod), chmod_parents=step.link)
    copy_path(source, path, target, destination, filtered(options, view, wanted, path, step.excludes))


def _unpacked(
    source: Root, path: bytes, target: Root, destination: bytes, owner: tuple[int, int] | None
) -> bool:
    """Unpack a file that is an archive, in any of the compressions that ADD knows; say whether it was one."""
    with source.place(path) as place:
        if place.stat is None or not stat.S_ISREG(place.stat.st_mode):
            return False
        fd = os.open(place.name, _READ, dir_fd=place.directory)
    with os.fdopen(fd, "rb", buffering=0) as file:
        if not _is_archive(file):
            return False
        file.seek(0)
        target.make_directories(destination, NewDirectory(0o755, *(owner or (0, 0))))
        with target.directory(destination) as directory, Root(f"/proc/self/fd/{directory}") as inside:
            unpack_archive(DecompressedStream(file), inside, owner=owner)
    return True


def _is_archive(file: os.PathLike[str] | object) -> bool:
    """Say whether a file, unpacked as it may be, starts with a tar header."""
    try:
        head = DecompressedStream(file).read(512)  # type: ignore[arg-type]
    except LayerError:
        return False
    return head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + len(_TAR_MAGIC)] == _TAR_MAGIC
