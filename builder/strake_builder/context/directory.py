"""A context in a directory that is there: of the machine, or a mounted ConfigMap.

A ConfigMap may change between the pods of a run. By the digest of its files it is known to be the one that
was meant: of each file it has the mode, the path with its length, and the hash of the content, so that no
other files give the same bytes. Times are no part of it: the kubelet writes a ConfigMap anew for each pod.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from typing import TYPE_CHECKING, Final

from strake_builder import interrupt
from strake_builder.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_api.models.source import DirectorySource

_KUBELET_DATA: Final = "..data"
"""The kubelet mounts a ConfigMap as links to files in a directory of this name, which no context means."""
_MOST: Final = 4096
"""Files and directories. A ConfigMap has 1 MiB at most, and Kubernetes takes none with so many keys."""


def local_directory(source: DirectorySource, scratch: str) -> str:
    """Return the directory of a context: where it is, or a copy, since the kubelet may change a ConfigMap.

    Args:
        source: where it is.
        scratch: an existing empty directory.

    Raises:
        SourceError: it is none, or its files are not those of the digest.
    """
    if not os.path.isdir(source.path):
        raise SourceError(f"the context {source.path} is no directory")
    directory = mounted_files(source.path)
    try:
        if directory != os.path.realpath(source.path):
            shutil.copytree(directory, scratch, dirs_exist_ok=True)
            directory = scratch
        if source.digest is not None:
            _check(source, directory)
    except OSError as error:
        raise SourceError(f"cannot read the context {source.path}: {error.strerror or error}") from error
    return directory


def _check(source: DirectorySource, directory: str) -> None:
    found = directory_digest(directory)
    if found != source.digest:
        raise SourceError(
            f"the context {source.path} has the digest {found}, and this run began with {source.digest}: "
            "the ConfigMap changed meanwhile",
            hint="run it again: all platforms are then built from the ConfigMap as it is",
        )


def mounted_files(path: str) -> str:
    """Return the directory that a mounted ConfigMap's files are in; of any other directory itself.

    Of a ConfigMap that changes, the kubelet moves a link. It is resolved here, once, so that no mixture of
    old and new files is read.
    """
    data = os.path.join(path, _KUBELET_DATA)
    return os.path.realpath(data if os.path.islink(data) else path)


def directory_digest(directory: str) -> str:
    """Return "sha256:hex" of the files in a directory, however deep.

    Raises:
        SourceError: there is something else than files, directories and links, or too much of it.
        OSError: something cannot be read.
    """
    digest = hashlib.sha256()
    for number, path in enumerate(sorted(_paths(os.fsencode(directory)))):
        if number >= _MOST:
            raise SourceError(f"{directory} has more than {_MOST} files", hint="use another kind of source")
        _add(digest, os.path.join(os.fsencode(directory), path), path)
    return f"sha256:{digest.hexdigest()}"


def _paths(top: bytes) -> Iterator[bytes]:
    for directory, names, files in os.walk(top, onerror=_refused):
        for name in (*names, *files):
            yield os.path.relpath(os.path.join(directory, name), top)


def _refused(error: OSError) -> None:
    raise error


def _add(digest: hashlib._Hash, file: bytes, path: bytes) -> None:
    mode = os.lstat(file).st_mode
    content = hashlib.sha256()
    if stat.S_ISREG(mode):
        with open(file, "rb") as opened:
            for piece in interrupt.pieces(opened):
                content.update(piece)
    elif stat.S_ISLNK(mode):
        content.update(os.readlink(file))
    elif not stat.S_ISDIR(mode):
        raise SourceError(f"{os.fsdecode(file)} is no file, and can be no part of a ConfigMap")
    digest.update(b"%o %d:" % (mode, len(path)))
    digest.update(path)
    digest.update(content.digest())
