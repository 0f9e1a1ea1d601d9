"""Executes ADD: as COPY, but local archives are unpacked, and URLs and git repositories are fetched."""

from __future__ import annotations

import os
import stat
from typing import assert_never

from strake_builder.context.git.fetch import redact_url
from strake_builder.errors import StepError
from strake_builder.frontend.model.chmod import made_mode
from strake_builder.frontend.model.steps import AddStep, FromContext, GitSource, PathSource, UrlSource
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.copying.copy import copy_path
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.path_walk import NewDirectory
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_builder.rootfs.unpack.archive import unpack_archive
from strake_builder.solve.fetching.remote import RemoteSources, location_of
from strake_builder.solve.steps.copy import mode_of, write_heredocs
from strake_builder.solve.steps.file_origins import FileOrigins
from strake_builder.solve.steps.sources import filtered, find_sources, of_commit
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.platform import Platform

_TAR_MAGIC = b"ustar"
_TAR_MAGIC_AT = 257
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class AddTools:
    """Where an ADD takes from and puts to.

    Attributes:
        target: the root to add to; with `--link` an empty one.
        scratch: an empty directory for what is downloaded.
        origins: opens the context.
        platform: of the stage.
        remote: fetches URLs, and knows commits.
        max_unpacked: bytes that an archive may take on disk.
    """

    target: Root
    scratch: str
    origins: FileOrigins
    platform: Platform
    remote: RemoteSources
    max_unpacked: int = MAX_UNPACKED


def execute_add(step: AddStep, owner: tuple[int, int] | None, tools: AddTools, reporter: Reporter) -> None:
    """Add what a step names.

    Args:
        step: what to add.
        owner: (uid, gid) that `--chown` means, None without it.
        tools: see `AddTools`.
        reporter: hears of patterns that match nothing.

    Raises:
        StepError: a source is missing or cannot be where it should go.
        SourceError: a URL or repository cannot be fetched.
    """
    destination = step.destination.encode(errors="surrogateescape")
    adding = _Adding(step, owner, tools, destination)
    for number, wanted in enumerate(step.sources):
        match wanted:
            case PathSource():
                if not adding.local(wanted):
                    where = step.origin
                    message = f"{wanted.path.lstrip('/')} matches nothing"
                    reporter.warn(message, where.file, where.span.first)
            case UrlSource():
                adding.url(wanted)
            case GitSource():
                adding.git(wanted, os.path.join(tools.scratch, str(number)))
            case _:
                assert_never(wanted)
    write_heredocs(step.files, tools.target, destination, owner, step.chmod)


@dataclass(frozen=True, slots=True)
class _Adding:
    step: AddStep
    owner: tuple[int, int] | None
    tools: AddTools
    destination: bytes

    def local(self, wanted: PathSource) -> bool:
        """Add from the context; say whether there was anything."""
        view = self.tools.origins.open(FromContext(), self.tools.platform)
        with Root(view.path) as source:
            found = list(find_sources(source, view, wanted, self.step.excludes))
            for path in found:
                if self.step.unpack is False or not self._unpacked(source, path):
                    options = filtered(self._options(), source, view, wanted, path, self.step.excludes)
                    copy_path(source, path, self.tools.target, self.destination, options)
        return bool(found)

    def url(self, wanted: UrlSource) -> None:
        """Add a download: mode 0600, its time as the server says, not unpacked unless asked."""
        file = self.tools.remote.file(wanted)
        content = file.name.encode()
        with Root(file.directory) as source:
            if self.step.unpack and self._unpacked(source, content):
                return
            name = wanted.filename.encode(errors="surrogateescape")
            copy_path(source, content, self.tools.target, self.destination, self._options(), name)

    def git(self, wanted: GitSource, scratch: str) -> None:
        """Add a commit's files, without git's own unless asked."""
        os.mkdir(scratch)
        revision = self.tools.remote.check_out(location_of(wanted), scratch)
        self.tools.remote.require(wanted, revision)
        self.tools.remote.note_commit(wanted, revision)
        options = of_commit(self._options(), self.step.excludes, keep_git_dir=wanted.keep_git_dir)
        path = b"/" + wanted.subdir.encode(errors="surrogateescape")
        with Root(scratch) as source:
            _require_directory(source, path, wanted)
            becomes = not self.destination.endswith(b"/") and self.tools.target.stat(self.destination) is None
            copy_path(source, path, self.tools.target, self.destination, options)
        if becomes:
            with self.tools.target.directory(self.destination) as directory:
                made = f"/proc/self/fd/{directory}"
                os.chown(made, *(self.owner or (0, 0)))
                os.chmod(made, options.mode(0o755, True) if options.mode else 0o755)

    def _options(self) -> CopyOptions:
        chmod = self.step.chmod
        return CopyOptions(
            self.owner or (0, 0), mode_of(chmod), made_mode=made_mode(chmod), made_owner=self.owner
        )

    def _unpacked(self, source: Root, path: bytes) -> bool:
        return _unpacked(source, path, self.tools, self.destination, self.owner)


def _require_directory(source: Root, path: bytes, wanted: GitSource) -> None:
    """Refuse a subdirectory of a commit that is none, or has a link on the way, as BuildKit."""
    way, found = source.resolution(path, follow=True), source.stat(path)
    absent = b".git" in path.split(b"/") and not wanted.keep_git_dir
    if absent or found is None or way.links or not stat.S_ISDIR(found.st_mode):
        raise StepError(
            f"{redact_url(wanted.remote)} has no directory {wanted.subdir!r}",
            hint="name a directory of the commit, and no link to one",
        )


def _unpacked(
    source: Root, path: bytes, tools: AddTools, destination: bytes, owner: tuple[int, int] | None
) -> bool:
    """Unpack a file that is an archive, in any of the compressions that ADD knows; say whether it was one."""
    with source.at(path) as location:
        if location.stat is None or not stat.S_ISREG(location.stat.st_mode):
            return False
        fd = os.open(location.name, _READ, dir_fd=location.directory)
    with os.fdopen(fd, "rb", buffering=0) as file:
        if not _is_archive(file):
            return False
        file.seek(0)
        target = tools.target
        target.make_directories(destination, NewDirectory(owner=owner))
        with target.directory(destination) as directory, Root(f"/proc/self/fd/{directory}") as inside:
            try:
                unpack_archive(
                    DecompressedStream(file),
                    inside,
                    owner=owner,
                    scratch=target.beside,
                    limit=tools.max_unpacked,
                )
            except LayerError as error:
                raise StepError(
                    f"cannot unpack {os.fsdecode(path).lstrip('/')}: {error.message}", hint=error.hint
                ) from error
    return True


def _is_archive(file: os.PathLike[str] | object) -> bool:
    """Say whether a file, unpacked as it may be, starts with a tar header."""
    try:
        head = DecompressedStream(file).read(512)  # type: ignore[arg-type]
    except LayerError:
        return False
    return head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + len(_TAR_MAGIC)] == _TAR_MAGIC
