"""Where CloudEvents go, and with which key they are signed; nowhere unless the platform says where."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

URL_VARIABLE: Final = "STRAKE_EVENTS_URL"
KEY_VARIABLE: Final = "STRAKE_EVENTS_KEY_FILE"
PLAIN_VARIABLE: Final = "STRAKE_EVENTS_PLAIN_HTTP"
SOURCE_VARIABLE: Final = "STRAKE_EVENTS_SOURCE"
USUAL_KEY_FILE: Final = "/etc/strake-events/key"
"""Where the Secret `strake-events` is mounted, if there is one."""
USUAL_SOURCE: Final = "/apis/strake.dev/v1alpha1/imagebuilds"
LEAST_KEY_BYTES: Final = 16
MOST_KEYS: Final = 4
_LARGEST_FILE: Final = 16 * 1024
_ENCODED: Final = "whsec_"


@dataclass(frozen=True, slots=True)
class EventSettings:
    """Where events go.

    Attributes:
        url: Of the receiver. It may hold a token in its path or query, so it is never shown.
        key_file: Holds the keys. It is read for each event: a mounted Secret changes while the operator runs.
        source: The events' attribute of this name, which tells the clusters of a receiver apart.
    """

    url: str
    key_file: Path
    source: str = USUAL_SOURCE

    @property
    def receiver(self) -> str:
        """The receiver as logs show it: scheme and host."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def read_event_settings(environment: Mapping[str, str]) -> EventSettings | None:
    """Return what environment variables say; None where no events are to be sent.

    Raises:
        SettingsError: A variable has a value that makes no sense, or there is no key.
    """
    url = environment.get(URL_VARIABLE, "").strip()
    if not url:
        return None
    _check(url, environment.get(PLAIN_VARIABLE, "").strip())
    key_file = environment.get(KEY_VARIABLE, "").strip() or USUAL_KEY_FILE
    source = environment.get(SOURCE_VARIABLE, "").strip() or USUAL_SOURCE
    if not source.isascii() or not source.isprintable() or " " in source:
        raise SettingsError(f"{SOURCE_VARIABLE} must be a URI or the path of one, not {source!r}")
    read_keys(Path(key_file))
    return EventSettings(url, Path(key_file), source)


def _check(url: str, plain: str) -> None:
    if plain not in {"", "refused", "allowed"}:
        raise SettingsError(f"{PLAIN_VARIABLE} must be refused or allowed, not {plain!r}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{URL_VARIABLE} is no URL: {error}") from error
    # The URL itself stays out of the messages: its path may be a secret.
    if parts.scheme not in {"https", "http"} or not host or not url.isprintable():
        raise SettingsError(f"{URL_VARIABLE} must be a URL as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(
            f"{URL_VARIABLE} must have no user and password: receivers know events by their signature"
        )
    if parts.scheme == "http" and plain != "allowed":
        raise SettingsError(
            f"{URL_VARIABLE} is of plain HTTP, which others on the way can read: use https, or set "
            f"{PLAIN_VARIABLE}=allowed"
        )


def read_keys(file: Path) -> tuple[bytes, ...]:
    """Return the keys of a file, one a line: the new one and the old one while receivers change over.

    Raises:
        SettingsError: The file cannot be read, or has no key that is long enough.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST_FILE + 1).decode()
    except OSError as error:
        raise SettingsError(f"{KEY_VARIABLE}: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{KEY_VARIABLE}: {file} is no text: `openssl rand -hex 32` makes a key"
        ) from error
    keys = tuple(_key(line.strip(), file) for line in text.splitlines() if line.strip())
    if not keys or len(keys) > MOST_KEYS or len(text) > _LARGEST_FILE:
        raise SettingsError(f"{KEY_VARIABLE}: {file} must hold one key a line, {MOST_KEYS} at most")
    return keys


def _key(text: str, file: Path) -> bytes:
    """Return a key: the text itself, or what `whsec_` and Base64 stand for."""
    try:
        encoded = text.removeprefix(_ENCODED)
        key = base64.b64decode(encoded, validate=True) if encoded != text else text.encode()
    except binascii.Error as error:
        raise SettingsError(f"{KEY_VARIABLE}: a key in {file} is no Base64 after {_ENCODED}") from error
    if len(key) < LEAST_KEY_BYTES:
        raise SettingsError(f"{KEY_VARIABLE}: a key in {file} has less than {LEAST_KEY_BYTES} bytes")
    return key
