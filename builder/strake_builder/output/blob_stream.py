"""Sends a layer to the registries while it is being compressed.

What is sent is also in a file. So nothing depends on the stream: where it breaks, or the registry refuses
it, the blob is pushed from the file as any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from strake_oci.errors import OCIError
from strake_oci.registry.blobs.stream import SMALL, BlobUpload

if TYPE_CHECKING:
    from types import TracebackType

    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository


class BlobStream:
    """One blob on its way to several registries. A context manager; leaving it gives up what is not done.

    Args:
        uploads: the repository of each registry, and its upload.
    """

    def __init__(self, uploads: dict[Repository, BlobUpload]) -> None:
        self._uploads = uploads

    def write(self, data: bytes) -> None:
        """Take the next bytes; waits while the slowest registry is behind."""
        for repository, upload in list(self._uploads.items()):
            try:
                upload.write(data)
            except OCIError:
                self._give_up(repository)

    def commit(self, digest: Digest) -> frozenset[Repository]:
        """End the blob; return the repositories that have it now.

        A small one was not worth beginning: a question whether it is there already costs less.
        """
        done = set()
        for repository, upload in list(self._uploads.items()):
            if upload.size <= SMALL:
                continue
            try:
                upload.commit(digest)
            except OCIError:
                self._give_up(repository)
            else:
                done.add(repository)
        return frozenset(done)

    def _give_up(self, repository: Repository) -> None:
        self._uploads.pop(repository).cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for upload in self._uploads.values():
            upload.cancel()
