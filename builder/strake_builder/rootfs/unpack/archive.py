"""Unpacks tar members into a directory, as an untrusted archive has to be.

Used for two things that differ in what a name with special meaning does: a *layer* (whiteouts become
overlay's own, `..` is refused) and an *archive* that ADD names (whiteouts are ordinary names, `..`
ends at the destination, existing directories keep what the archive does not say).

Rules: OCI image spec, layer.md, "Applying Changesets"; overlay's whiteouts from the kernel's
Documentation/filesystems/overlayfs.rst ("whiteouts and opaque directories", `userxattr`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from strake_builder.layers.entry import Entry
from strake_builder.layers.tar_reader import Content, read_members
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_builder.rootfs.unpack.layer_applier import LayerApplier, Unpacked
from strake_oci.images import Readable


def unpack_layer(
    source: Readable,
    directory: str,
    *,
    lowest: bool,
    lowers: Sequence[str] | None = None,
    parents_file: str | None = None,
    limit: int = MAX_UNPACKED,
) -> Unpacked:
    """Unpack a layer's tar stream into an empty directory, in the form that overlay stacks.

    Args:
        source: the tar stream, not compressed.
        directory: an empty directory; it becomes the layer's root.
        lowest: there is no layer under this one, so that its whiteouts mean nothing and are left out.
        lowers: the lower layers, topmost first; None where they are not at hand.
        parents_file: where to note its `implicit_parents` when they are not.
        limit: bytes that it may take on disk, see `Allowance`.

    Raises:
        MalformedLayerError: the stream is damaged or a member tries to leave the root.
        TooLargeError: it takes more room than it may.
        OSError: the file system refused, for example because it is full.
    """
    return unpack_members(
        read_members(source), directory, lowest=lowest, lowers=lowers, parents_file=parents_file, limit=limit
    )


def unpack_members(
    members: Iterable[tuple[Entry, Content]],
    directory: str,
    *,
    lowest: bool,
    lowers: Sequence[str] | None = None,
    parents_file: str | None = None,
    limit: int = MAX_UNPACKED,
) -> Unpacked:
    """Unpack what is in a layer's tar stream; as `unpack_layer`."""
    with (
        Root(directory) as root,
        LayerApplier(root, layer=True, lowest=lowest, lowers=lowers, limit=limit) as applier,
    ):
        for entry, content in members:
            applier.apply(entry, content)
        if parents_file is not None:
            applier.note_implicit_parents(parents_file)
        return applier.finish()


def unpack_archive(
    source: Readable,
    root: Root,
    *,
    owner: tuple[int, int] | None = None,
    mode: int | None = None,
    scratch: str | None = None,
    limit: int = MAX_UNPACKED,
) -> Unpacked:
    """Unpack an archive into a directory that may have content, inside which every member ends.

    Args:
        source: the tar stream, not compressed.
        root: the destination.
        owner: (uid, gid) for everything, in place of what the archive says.
        mode: permissions for everything but links, in place of what the archive says.
        scratch: a directory on disk, for files without names; the one that holds the root where None.
        limit: bytes that it may take on disk, see `Allowance`.
    """
    with LayerApplier(root, layer=False, lowest=False, scratch=scratch, limit=limit) as applier:
        for member, content in read_members(source):
            entry = member
            if owner is not None:
                entry = entry._replace(uid=owner[0], gid=owner[1])
            if mode is not None:
                entry = entry._replace(mode=mode)
            applier.apply(entry, content)
        return applier.finish()
