"""Flags of how what is pushed is signed."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from strake_builder.cli.registries.signing import (
    PASSWORD_VARIABLE,
    keyless_identity,
    kms_key,
    loaded_signing_key,
    read_config,
    signature_forms,
    signing_key_file,
)
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_builder.output.signing import Signing


def add_signing_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `read_signing` reads."""
    group = parser.add_argument_group("signatures")
    group.add_argument(
        "--sign-key",
        metavar="FILE|URI",
        help="sign the image with a private key before a tag moves: cosign.key, whose password is in "
        f"${PASSWORD_VARIABLE}, a key in PKCS #8, or one in a KMS (awskms://, gcpkms://, azurekms://, "
        "hashivault://)",
    )
    group.add_argument(
        "--sign-identity-token",
        metavar="FILE",
        help="sign without a key of your own, as the one that a token of OpenID Connect names, with a "
        "certificate of the Fulcio of --sigstore-config",
    )
    group.add_argument(
        "--sigstore-config",
        metavar="FILE",
        help="the Sigstore instance: a ClientTrustConfig with its trusted root and its signing config",
    )
    group.add_argument(
        "--sign-form",
        choices=("legacy", "bundle", "both"),
        help="how the signature lies beside the image: as a .sig tag, as a Sigstore bundle that refers to "
        "the image, or both (default: both)",
    )


def read_signing(arguments: argparse.Namespace) -> Signing | None:
    """Return what the flags ask for.

    Raises:
        InvalidRequestError: flags contradict each other, a form has no key, a file is missing, or a URI names
            no key.
        SigningError: the key cannot be used.
    """
    if arguments.sign_identity_token is not None or arguments.sigstore_config is not None:
        return _keyless(arguments)
    if arguments.sign_key is None:
        if arguments.sign_form is not None:
            raise InvalidRequestError("--sign-form: there is no key", hint="name one with --sign-key")
        return None
    from strake_builder.output.signing import Signing
    from strake_oci.signatures.kms.uri import is_key_uri

    forms = signature_forms(arguments.sign_form or "both")
    if is_key_uri(arguments.sign_key):
        return Signing(forms, kms_key(arguments.sign_key))
    password = os.environ.get(PASSWORD_VARIABLE, "")
    hint = "" if password else f"its password is taken from ${PASSWORD_VARIABLE}"
    key = loaded_signing_key(signing_key_file(arguments.sign_key), os.fsencode(password), hint)
    return Signing(forms, key)


def _keyless(arguments: argparse.Namespace) -> Signing:
    """Return that an identity signs."""
    token, config = arguments.sign_identity_token, arguments.sigstore_config
    if token is None or config is None:
        raise InvalidRequestError(
            "--sign-identity-token and --sigstore-config need each other",
            hint="the one says who signs, the other who makes the certificate",
        )
    if arguments.sign_key is not None or arguments.sign_form == "legacy":
        flag = "--sign-key" if arguments.sign_key is not None else "--sign-form legacy"
        raise InvalidRequestError(
            f"{flag} and --sign-identity-token contradict each other",
            hint="sign with a key, or as somebody, in bundles",
        )
    from strake_builder.output.signing import Signing

    identity = keyless_identity(read_config(config), os.path.abspath(token))
    return Signing(signature_forms("bundle"), identity)
