"""Writes a case's build context to disk as its `files` describe it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from tests.conformance import cases

EPOCH = 1_000_000_000


def write_context(  # noqa: C901 - one case a kind of file
    case: cases.Case, directory: Path, names: dict[str, str]
) -> None:
    """Write a case's files and its Dockerfile, with BASE and TINY replaced by image references."""
    links = {}
    for name, content in case.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case None:
                path.mkdir(exist_ok=True)
            case str():
                path.write_text(content)
                path.chmod(0o644)
            case cases.Text(text, mode):
                path.write_text(text)
                path.chmod(mode)
            case cases.Link(target):
                path.symlink_to(target)
            case cases.Hard(to):
                links[path] = directory / to
            case cases.Tar():
                path.write_bytes(_archive(content))
                path.chmod(0o644)
            case _:
                raise AssertionError(f"{name}: {content!r}")
    for path, linked in links.items():
        os.link(linked, path)
    text = case.dockerfile
    for word, reference in names.items():
        text = text.replace(word, reference)
    (directory / "Dockerfile").write_bytes(text.encode())
    for path in directory.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)


def _archive(archive: cases.Tar) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{archive.compression}") as tar:  # type: ignore[call-overload]
        for name, content in archive.members.items():
            info = tarfile.TarInfo(name)
            info.mtime = EPOCH
            data = b""
            match content:
                case None:
                    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, 0o700, 77, 88
                case str():
                    data = content.encode()
                    info.mode, info.uid, info.gid, info.size = 0o640, 12, 34, len(data)
                case cases.Link(target):
                    info.type, info.linkname = tarfile.SYMTYPE, target
                case cases.Hard(to):
                    info.type, info.linkname = tarfile.LNKTYPE, to
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
