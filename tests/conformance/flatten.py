"""What an image holds once its layers lie over each other, read with `tarfile`: an oracle, not our code."""

from __future__ import annotations

import hashlib
import os
import tarfile
from dataclasses import dataclass, field

from strake_oci.spec.digest import Digest
from strake_oci.spec.image import ImageConfig
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.platform import choose, host

KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}
NOT_COMPARED = ("/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf")
MANY = 1000
_BASES: dict[Digest, tuple[dict[str, dict], dict[str, object]]] = {}
"""What lowest layers of many entries hold, by digest: hundreds of images have one as their base, and reading it takes a second."""


@dataclass
class Flat:
    """A flattened image: paths to what README.md calls their fields, and the groups that share an inode."""

    config: ImageConfig
    layers: int
    paths: dict[str, dict] = field(default_factory=dict)
    inodes: dict[str, object] = field(default_factory=dict)

    def link_groups(self) -> set[frozenset[str]]:
        groups: dict[int, set[str]] = {}
        for path, inode in self.inodes.items():
            groups.setdefault(id(inode), set()).add(path)
        return {frozenset(group) for group in groups.values() if len(group) > 1}


def flatten(client, repository, identifier) -> Flat:
    """Pull an image and lay its layers over each other."""
    top, data = client.manifest(repository, identifier)
    document = parse(data, top.media_type)
    if not isinstance(document, Manifest):
        chosen = choose(host(), ((listed.platform, listed) for listed in document.manifests))
        _, data = client.manifest(repository, chosen.digest)
        document = parse(data)
        assert isinstance(document, Manifest)
    with client.open_blob(repository, document.config) as reader:
        flat = Flat(
            ImageConfig.parse(b"".join(iter(lambda: reader.read(1 << 20), b""))), len(document.layers)
        )
    assert None not in flat.config.diff_ids
    layers = list(zip(document.layers, flat.config.diff_ids, strict=True))
    if layers and layers[0][0].digest in _BASES:
        base, _ = layers.pop(0)
        assert client.blob_exists(repository, base.digest)
        paths, inodes = _BASES[base.digest]
        flat.paths, flat.inodes = dict(paths), dict(inodes)
    for descriptor, _ in layers:
        with client.open_blob(repository, descriptor) as reader:
            apply_layer(flat, reader)
        if descriptor == document.layers[0] and len(flat.paths) >= MANY:
            _BASES[descriptor.digest] = dict(flat.paths), dict(flat.inodes)
    return flat


def apply_layer(flat: Flat, stream) -> None:
    """Lay one layer over what is there, whiteouts first in effect: they hide lower layers only."""
    below = set(flat.paths)
    own: set[str] = set()
    with tarfile.open(fileobj=stream, mode="r|*", errorlevel=2) as tar:
        for member in tar:
            path = os.path.normpath("/" + member.name)
            parent, name = os.path.split(path)
            if name == ".wh..wh..opq":
                _remove(flat, parent, below - own, inside=True)
            elif name.startswith(".wh."):
                hidden = os.path.join(parent, name[4:])
                assert hidden in below, f"a whiteout of {hidden}, which no lower layer has"
                _remove(flat, hidden, below - own, inside=False)
            else:
                own.add(path)
                _add(flat, path, member, tar)


def _remove(flat: Flat, top: str, candidates: set[str], *, inside: bool) -> None:
    prefix = top.rstrip("/") + "/"
    for path in candidates:
        if path.startswith(prefix) or (path == top and not inside):
            flat.paths.pop(path, None)
            flat.inodes.pop(path, None)


def _add(flat: Flat, path: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
    if member.islnk():
        target = os.path.normpath("/" + member.linkname)
        flat.paths[path] = flat.paths[target]
        flat.inodes[path] = flat.inodes[target]
        return
    old = flat.paths.get(path)
    if old is not None and old["type"] == "dir" and not member.isdir():
        _remove(flat, path, set(flat.paths), inside=True)
    found: dict = {"type": KINDS[member.type], "uid": member.uid, "gid": member.gid}
    if not member.issym():
        found["mode"] = f"{member.mode & 0o7777:04o}"
    else:
        found["target"] = member.linkname
    if member.isreg():
        content = tar.extractfile(member)
        assert content is not None
        digest = hashlib.sha256()
        while data := content.read(1 << 20):
            digest.update(data)
        found |= {"size": member.size, "sha256": digest.hexdigest()}
    prefix = "SCHILY.xattr."
    xattrs = {
        key[len(prefix) :]: value.encode("utf-8", "surrogateescape").hex()
        for key, value in member.pax_headers.items()
        if key.startswith(prefix)
    }
    if xattrs:
        found["xattrs"] = xattrs
    flat.paths[path] = found
    flat.inodes[path] = object()


def compared(path: str) -> bool:
    """Say whether a path takes part in a comparison (README.md, "Not compared")."""
    return path != "/" and not any(path == p or path.startswith(p + "/") for p in NOT_COMPARED)
