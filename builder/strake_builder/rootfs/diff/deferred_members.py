"""Hands out a step's deferred files in step with a walk through its upper directory."""

from __future__ import annotations

import os
from collections.abc import Iterator

from strake_builder import interrupt
from strake_builder.errors import InternalError, StepError
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.rootfs.copying.deferred import DeferredFile, DeferredFiles, DeferredSources, member_order
from strake_builder.rootfs.diff.change import NO_CONTENT, Change, HeldContent, open_content


class DeferredMembers:
    """Deferred files, in the order in which a layer has its members. Close it.

    Args:
        files: the files; None for none.
        left_out: paths that are passed over with all that is under them.

    Attributes:
        passing: path of the root that they are copied from, where it may go as they are read.
    """

    def __init__(self, files: DeferredFiles | None, left_out: frozenset[bytes]) -> None:
        self._left_out = left_out
        self.passing = os.fsencode(files.passing) if files is not None and files.passing else None
        self._files: Iterator[DeferredFile] = iter(files or ())
        self._sources = DeferredSources(files.root if files is not None else -1)
        self._content = HeldContent()
        self._next: DeferredFile | None = None
        self._key = b""
        self._advance()

    def close(self) -> None:
        """Close the source that is open."""
        self._content.close()
        self._sources.close()

    @property
    def is_left(self) -> bool:
        """Whether a file was not handed out yet."""
        return self._next is not None

    def before(self, prefix: bytes, name: bytes) -> Iterator[DeferredFile]:
        """Yield the files of a directory that come before a name.

        Args:
            prefix: of the names in the directory.
            name: in it.
        """
        yield from self._until(prefix, member_order(prefix + name))

    def rest(self, prefix: bytes) -> Iterator[DeferredFile]:
        """Yield the files of a directory that are left."""
        # No name has a byte of zero, so this is behind all that is in the directory.
        yield from self._until(prefix, member_order(prefix)[:-1] + b"\1" if prefix else None)

    def take(self, path: bytes) -> DeferredFile | None:
        """Return the file of a path that comes next, None where another one does."""
        file = self._next
        if file is None or file.path != path:
            return None
        self._advance()
        return file

    def change(self, file: DeferredFile, mtime: int) -> Change:
        """Return a file as the member of a layer.

        Raises:
            StepError: its source is gone or something else now, or so is a directory on the way to it.
        """
        entry = Entry(file.path, EntryType.FILE, file.mode, file.uid, file.gid, file.size, mtime)
        parent, _, name = file.source.rpartition(b"/")
        try:
            directory = self._sources.directory(parent)
        except OSError as error:
            source = file.source[:300].decode(errors="replace")
            raise StepError(f"{source} changed while it was copied: {error.strerror}") from error
        if not file.size:
            return entry, NO_CONTENT
        content, _ = open_content(file.path, name, directory)
        return entry, self._content.hold(content)

    def _until(self, prefix: bytes, bound: bytes | None) -> Iterator[DeferredFile]:
        while self._next is not None and (bound is None or self._key < bound):
            interrupt.check()
            file = self._next
            self._advance()
            if self._is_left_out(file.path):
                continue
            directory, separator, _ = file.path.rpartition(b"/")
            if directory + separator != prefix:
                shown = file.path[:300].decode(errors="replace")
                raise InternalError(f"the directory of /{shown} is not among the changes of its step")
            yield file

    def _is_left_out(self, path: bytes) -> bool:
        while self._left_out and path:
            if path in self._left_out:
                return True
            path = path.rpartition(b"/")[0]
        return False

    def _advance(self) -> None:
        self._next = next(self._files, None)
        self._key = member_order(self._next.path) if self._next is not None else b""
