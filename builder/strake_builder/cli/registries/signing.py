"""The keys that a command signs and verifies with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from strake_builder.errors import InvalidRequestError, SigningError, UnsupportedError

if TYPE_CHECKING:
    from strake_api.requests.build import BuildRequest
    from strake_api.requests.index import IndexRequest
    from strake_builder.output.signing import Signing
    from strake_oci.signatures import SignatureForm
    from strake_oci.signatures.keys import SigningKey, VerificationKey

PASSWORD_VARIABLE: Final = "COSIGN_PASSWORD"  # noqa: S105 - its name
"""Where cosign looks for a key's password, too."""


def read_public_key(path: str) -> VerificationKey:
    """Return the public key in a file.

    Raises:
        InvalidRequestError: there is none that is known.
        UnsupportedError: the libraries that verify are not installed.
    """
    with _libraries():
        from strake_oci.errors import SigningKeyError
        from strake_oci.signatures.keys import VerificationKey
    try:
        return VerificationKey.load(_content(path, "--key"))
    except SigningKeyError as error:
        raise InvalidRequestError(f"{path}: {error.message}", hint=error.hint) from error


def signature_forms(form: str) -> tuple[SignatureForm, ...]:
    """Return the forms that a flag, or a field, names: legacy, bundle or both."""
    from strake_oci.signatures import BOTH, SignatureForm

    return BOTH if form == "both" else (SignatureForm(form),)


def signing_key_file(path: str) -> bytes:
    """Return the file that `--sign-key` names.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    return _content(path, "--sign-key")


def requested_signing(request: BuildRequest | IndexRequest) -> Signing | None:
    """Return how a request wants what is pushed to be signed.

    Raises:
        SigningError: the key cannot be used; a gateway tells that later.
    """
    from strake_builder.output.signing import Signing

    sign = request.output.sign
    if sign is None:
        return None
    forms = signature_forms(sign.form)
    if request.registries.gateway is not None:
        return Signing(forms)
    return Signing(forms, mounted_signing_key(sign.key, sign.password))


def mounted_signing_key(key: str, password: str | None) -> SigningKey:
    """Return the key in a mounted Secret of cosign's form.

    Args:
        key: its path.
        password: the path of its password; a file that is not there means none.

    Raises:
        SigningError: the password is another one, or there is no key that is known.
        UnsupportedError: the libraries that sign are not installed.
    """
    opened = b""
    if password is not None and os.path.exists(password):
        opened = _content(password, "the Secret of output.sign")
    hint = "the Secret has cosign's keys: cosign.key, and cosign.password where it is encrypted"
    return loaded_signing_key(_content(key, "the Secret of output.sign"), opened, hint)


def loaded_signing_key(pem: bytes, password: bytes, hint: str = "") -> SigningKey:
    """Return a key.

    Args:
        pem: the file.
        password: of the file; kubectl and editors leave an end of line behind it, which does not count.
        hint: what to try, where the error does not know.

    Raises:
        SigningError: the password is another one, or there is no key that is known.
        UnsupportedError: the libraries that sign are not installed.
    """
    with _libraries():
        from strake_oci.errors import SigningKeyError
        from strake_oci.signatures.keys import SigningKey
    try:
        try:
            return SigningKey.load(pem, password)
        except SigningKeyError:
            if password == password.rstrip(b"\r\n"):
                raise
        return SigningKey.load(pem, password.rstrip(b"\r\n"))
    except SigningKeyError as error:
        raise SigningError(error.message, hint=error.hint or hint) from error


@contextmanager
def _libraries() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UnsupportedError(
            f"signatures need a library that is not installed: {error.name}",
            hint="pip install 'strake[sign]'",
        ) from error


def _content(path: str, named_by: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"{named_by}: cannot read {path}: {error.strerror}") from error
