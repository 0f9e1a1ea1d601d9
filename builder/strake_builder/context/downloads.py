"""Keeps downloads of ADD from build to build, so that what has not changed is not sent again.

Whether it has changed says the server: it is asked with the ETag and the time that it gave (RFC 9110, section
13, conditional requests), and answers 304 where the kept file still counts. A checksum in the Dockerfile that
the kept file has needs no question. Whatever is kept is hashed again before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Final

from strake_builder import interrupt
from strake_builder.context.download import (
    SIZE_LIMIT,
    Download,
    Tools,
    Validators,
    Watch,
    check_file,
    download,
    download_if_changed,
    unwatched,
)
from strake_oci.cancellation import Cancellation
from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks
from strake_oci.http.endpoint import TransportSettings
from strake_oci.http.transport import Transport

_META_MAX: Final = 8192
_PREFIX: Final = "download-"

Hold = Callable[[str, int | None], None]
"""With the name and size of what is used; the size only of what is new. Nobody removes it from then on."""


class Downloads:
    """Downloads files, and keeps them if there is a directory for it. Thread-safe, and safe between builds.

    Args:
        directory: where files are kept; made where it is missing. None keeps nothing.
        hold: called with what is used in the directory.
        cancellation: ends what is under way.
        networks: what must not be reached, by a URL or by where it redirects to.
        watch: hears of bytes as they come.
    """

    def __init__(
        self,
        directory: str | None = None,
        hold: Hold = lambda _name, _size: None,
        cancellation: Cancellation | None = None,
        networks: DeniedNetworks = NONE_DENIED,
        watch: Watch = unwatched,
    ) -> None:
        self._watch = watch
        self._cancellation = cancellation
        self._settings = TransportSettings(networks=networks)
        self._directory = directory
        self._hold = hold
        if directory is not None:
            os.makedirs(directory, 0o700, exist_ok=True)

    def fetch(
        self,
        url: str,
        path: str | None,
        checksum: str | None,
        limit: int = SIZE_LIMIT,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Download:
        """Have a URL's content in a new file; return what is known of it.

        Args:
            url: http or https.
            path: the file to make; it is not to be written to. None makes and keeps none.
            checksum: "sha256:…", "sha384:…" or "sha512:…" that the content must have, or None.
            limit: bytes at most.
            headers: what opens the URL; what is downloaded with some is not kept.

        Raises:
            SourceError: it cannot be had, is too large, or has another checksum.
            OSError: the file cannot be written.
        """
        with contextlib.closing(Transport(self._settings, self._cancellation)) as transport:
            tools = Tools(transport, limit, self._watch)
            if self._directory is None or headers or path is None:
                return download(url, path, checksum, tools, headers)
            return self._fetch(self._directory, url, path, checksum, tools)

    def _fetch(self, directory: str, url: str, path: str, checksum: str | None, tools: Tools) -> Download:
        entry = os.path.join(directory, hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest())
        self._hold(_PREFIX + os.path.basename(entry), None)
        kept = _read(entry)
        got = None
        if kept is None or kept.size > tools.limit:
            got, kept = download(url, path, checksum, tools), None
        elif checksum != f"sha256:{kept.sha256}":
            got = download_if_changed(url, path, checksum, kept.validators, tools)
        if got is None:
            if kept is not None and _take(entry, kept, path):
                if checksum is not None:
                    check_file(url, path, checksum)
                return kept
            got = download(url, path, checksum, tools)
        self._keep(directory, entry, path, got)
        return got

    def _keep(self, directory: str, entry: str, path: str, got: Download) -> None:
        """Keep a download; that this fails is no reason for a build to."""
        with (
            contextlib.suppress(OSError),
            tempfile.TemporaryDirectory(dir=directory, prefix=".") as scratch,
        ):
            content, meta = os.path.join(scratch, "content"), os.path.join(scratch, "meta")
            _link_or_copy(path, content)
            with open(meta, "w", encoding="utf-8") as file:
                json.dump(asdict(got), file)
            os.replace(content, entry)
            os.replace(meta, f"{entry}.json")
            self._hold(_PREFIX + os.path.basename(entry), got.size)


def remove_download(directory: str, name: str) -> bool:
    """Remove what is kept under a name that `Hold` was given; say whether the name is of that kind."""
    if not name.startswith(_PREFIX):
        return False
    for path in (f"{name.removeprefix(_PREFIX)}.json", name.removeprefix(_PREFIX)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, path))
    return True


def _read(entry: str) -> Download | None:
    """Return what is known of a kept file, None where nothing or nonsense is."""
    try:
        with open(f"{entry}.json", "rb") as file:
            found = json.loads(file.read(_META_MAX))
        validators = Validators(str(found["validators"]["etag"]), str(found["validators"]["last_modified"]))
        return Download(str(found["sha256"]), int(found["size"]), validators)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _take(entry: str, kept: Download, path: str) -> bool:
    """Make a kept file the file that is wanted; say whether it still is what was kept."""
    try:
        _link_or_copy(entry, path)
    except FileNotFoundError:
        return False
    if check_file("", path, None) == kept.sha256:
        return True
    os.unlink(path)
    return False


def _link_or_copy(source: str, target: str) -> None:
    """Give a file a second name, or copy it where that is another file system. Nobody writes to either."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:
        with open(source, "rb") as reader, open(target, "wb") as writer:
            writer.writelines(interrupt.pieces(reader))
        os.chmod(target, 0o600)
