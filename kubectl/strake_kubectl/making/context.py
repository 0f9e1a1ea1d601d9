"""A directory as a build context: packed as .dockerignore says, and pushed as an OCI artifact by its digest.

What is packed is the same bytes for the same files, so that a directory without changes is pushed once and is
the same source. Owners are no part of it: COPY gives files to root.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final

from strake_builder.context.filtered import ContextFilter, read_ignore_patterns, read_local
from strake_kubectl.errors import CommandError
from strake_oci.registry.client import RegistryClient
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository

ARTIFACT_TYPE: Final = "application/vnd.strake.context.v1"
_LEVEL: Final = 6
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed directory.

    Attributes:
        path: Of the archive.
        layer: What it is in a registry.
        files: How many files are in it.
    """

    path: str
    layer: Descriptor
    files: int


def pack(directory: str, dockerfile: str, target: str, warn: Callable[[str], object]) -> Packed:
    """Write a directory to an archive, without what .dockerignore names.

    The Dockerfile and the ignore files are packed in any case: the builder reads them.

    Args:
        directory: What is packed.
        dockerfile: Its path in the directory.
        target: The archive to make.
        warn: Hears of what cannot be packed.

    Raises:
        BuildError: An ignore file cannot be read.
        CommandError: There is no Dockerfile.
        OSError: A file cannot be read, or the archive cannot be written.
    """
    own = f"{dockerfile}.dockerignore"
    if not os.path.isfile(os.path.join(directory, dockerfile)):
        raise CommandError(
            f"there is no Dockerfile at {os.path.join(directory, dockerfile)}",
            hint="name it with --file, relative to the directory",
            exit_status=3,
        )
    inside = partial(os.path.join, directory)
    patterns = read_ignore_patterns(((inside(own), read_local), (inside(".dockerignore"), read_local)))
    always = {os.fsencode(os.path.normpath(each)) for each in (dockerfile, own, ".dockerignore")}
    count = 0
    with (
        open(target, "wb") as file,
        gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in _paths(os.fsencode(directory), ContextFilter(patterns), always):
            count += _add(archive, os.fsencode(directory), path, warn)
    with open(target, "rb") as written:
        digest, size = _digest(written)
    return Packed(target, Descriptor(mediatype.OCI_LAYER_GZIP, digest, size), count)


def _digest(file: BinaryIO) -> tuple[Digest, int]:
    found, size = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        found.update(piece)
        size += len(piece)
    return Digest.parse(f"sha256:{found.hexdigest()}"), size


def _paths(top: bytes, wanted: ContextFilter, always: set[bytes]) -> Iterator[bytes]:
    """Yield the paths of what is packed, in an order that does not depend on the disk; directories first."""

    def holds_one(path: bytes) -> bool:
        return any(each.startswith(path + b"/") for each in always)

    def walk(directory: bytes, pending: tuple[bytes, ...]) -> Iterator[bytes]:
        """Yield what is in a directory, with the ignored directories above before the first of it."""
        with os.scandir(os.path.join(top, directory)) as found:
            entries = sorted(found, key=lambda each: each.name)
        for entry in entries:
            path = os.path.join(directory, entry.name)
            is_directory = entry.is_dir(follow_symlinks=False)
            if path in always or wanted.keep(path, is_directory=is_directory):
                yield from pending
                pending = ()
                yield path
                if is_directory:
                    yield from walk(path, ())
            elif is_directory and (wanted.enter(path, is_directory=True) or holds_one(path)):
                for each in walk(path, (*pending, path)):
                    pending = ()  # they came with it
                    yield each

    yield from walk(b"", ())


def _add(archive: tarfile.TarFile, top: bytes, path: bytes, warn: Callable[[str], object]) -> bool:
    """Add a member; say whether it is a file."""
    source = os.path.join(top, path)
    found = os.lstat(source)
    member = tarfile.TarInfo(os.fsdecode(path))
    member.mode, member.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    if stat.S_ISREG(found.st_mode):
        member.size = found.st_size
        with open(source, "rb") as file:
            archive.addfile(member, file)
        return True
    if stat.S_ISDIR(found.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.fsdecode(os.readlink(source))
    else:
        warn(f"{os.fsdecode(path)} is no file and is left out")
        return False
    archive.addfile(member)
    return False


def push(client: RegistryClient, repository: Repository, packed: Packed) -> Digest:
    """Push an archive as an artifact, by digest; return the digest of its manifest.

    Raises:
        OCIError: The registry refused or failed.
    """
    client.push_blob(repository, packed.layer, partial(io.FileIO, packed.path))
    client.push_blob(repository, EMPTY, partial(io.BytesIO, EMPTY_CONTENT))
    artifact = make_artifact(ARTIFACT_TYPE, (packed.layer,))
    content = artifact.serialize()
    digest = Descriptor.of(artifact.media_type, content).digest
    client.push_manifest(repository.at(digest), content, artifact.media_type)
    return digest
