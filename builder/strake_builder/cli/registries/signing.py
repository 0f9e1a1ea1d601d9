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
    from strake_api.requests.output import Signature, VaultLogin
    from strake_builder.output.signing import Key, Signing
    from strake_oci.signatures import SignatureForm
    from strake_oci.signatures.keyless.certificate import CertificateIdentity
    from strake_oci.signatures.keyless.identity import KeylessIdentity
    from strake_oci.signatures.keys import PrivateKey, SigningKey, VerificationKey

PASSWORD_VARIABLE: Final = "COSIGN_PASSWORD"  # noqa: S105 - its name
"""Where cosign looks for a key's password, too."""


def read_public_key(path: str) -> VerificationKey:
    """Return the public key in a file, or of a key in a KMS.

    Raises:
        InvalidRequestError: there is none that is known.
        SigningError: the KMS does not give it.
        UnsupportedError: the libraries that verify are not installed.
    """
    with _libraries():
        from strake_oci.errors import SigningKeyError
        from strake_oci.signatures.keys import VerificationKey
        from strake_oci.signatures.kms.uri import is_key_uri
    if is_key_uri(path):
        try:
            return kms_key(path).public
        except SigningKeyError as error:
            raise SigningError(f"the public key cannot be had: {error.message}", hint=error.hint) from error
    try:
        return VerificationKey.load(_content(path, "--key"))
    except SigningKeyError as error:
        raise InvalidRequestError(f"{path}: {error.message}", hint=error.hint) from error


def signature_forms(form: str) -> tuple[SignatureForm, ...]:
    """Return the forms that a flag, or a field, names: legacy, bundle or both."""
    from strake_oci.signatures import BOTH, SignatureForm

    return BOTH if form == "both" else (SignatureForm(form),)


def read_config(path: str) -> str:
    """Return the text of the file that `--sigstore-config` names.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    try:
        return _content(path, "--sigstore-config").decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"--sigstore-config: {path} is no text") from error


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
    return Signing(forms, requested_key(sign))


def requested_key(sign: Signature) -> Key:
    """Return the key that a request names, or who signs without one. No service is asked for either yet.

    Raises:
        SigningError, InvalidRequestError, UnsupportedError: as of `kms_key` and `mounted_signing_key`.
    """
    if sign.keyless is not None:
        if not sign.keyless.config:
            raise InvalidRequestError(
                "keyless signatures need a Sigstore instance, and the platform names none",
                hint="the operator's STRAKE_SIGSTORE_CONFIG has one",
            )
        return keyless_identity(sign.keyless.config, sign.keyless.token)
    if sign.key is not None:
        return mounted_signing_key(sign.key, sign.password)
    return kms_key(sign.kms or "", sign.vault)


def kms_key(uri: str, login: VaultLogin | None = None) -> PrivateKey:
    """Return a key in a KMS. The service is not asked for it yet.

    Args:
        uri: as cosign has it.
        login: how a pod logs in at Vault; None reads cosign's variables.

    Raises:
        InvalidRequestError: the URI is none, or nothing tells where Vault is.
        UnsupportedError: the libraries that sign are not installed.
    """
    with _libraries():
        from strake_oci.errors import SigningKeyError
        from strake_oci.signatures.kms.opening import open_kms_key
        from strake_oci.signatures.kms.vault import KubernetesLogin, VaultAccess
    vault = None
    if login is not None:
        opened_by = KubernetesLogin(login.role, login.token, login.mount)
        vault = VaultAccess(login.address, opened_by, login.engine)
    try:
        return open_kms_key(uri, vault)
    except SigningKeyError as error:
        raise InvalidRequestError(f"the key that signs: {error.message}", hint=error.hint) from error


def keyless_identity(config: str, token: str) -> KeylessIdentity:
    """Return who signs without a key of their own.

    Args:
        config: the Sigstore instance, `ClientTrustConfig` in JSON.
        token: path of the token that says who; read for each certificate, since a kubelet renews it.

    Raises:
        InvalidRequestError: the configuration is none.
    """
    from strake_oci.errors import SigningKeyError
    from strake_oci.signatures.keyless.identity import KeylessIdentity

    def read() -> str:
        try:
            return Path(token).read_text()
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or "it is no text"
            raise SigningKeyError(f"the token of the identity cannot be read: {token}: {words}") from error

    try:
        return KeylessIdentity(config, read)
    except SigningKeyError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error


def read_certificate_identity(identity: str, issuer: str, root: str) -> CertificateIdentity:
    """Return whose certificates verify.

    Args:
        identity: the subject of certificates.
        issuer: who vouches for it.
        root: path of the trusted root.

    Raises:
        InvalidRequestError: there is no trusted root there.
        UnsupportedError: the library that verifies is not installed.
    """
    from strake_oci.errors import SigningKeyError
    from strake_oci.signatures.keyless.certificate import CertificateIdentity

    try:
        text = _content(root, "--trusted-root").decode()
        with _libraries("keyless"):
            return CertificateIdentity(identity, issuer, text)
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"--trusted-root: {root} is no text") from error
    except SigningKeyError as error:
        raise InvalidRequestError(f"--trusted-root: {error.message}", hint=error.hint) from error


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
def _libraries(extra: str = "sign") -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UnsupportedError(
            f"signatures need a library that is not installed: {error.name}",
            hint=f"pip install 'strake[{extra}]'",
        ) from error


def _content(path: str, named_by: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"{named_by}: cannot read {path}: {error.strerror}") from error
