"""Who signs a build's image: this process, or the gateway."""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from strake_builder.output.signing import LocalSigner, Signer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.cancellation import Cancellation


def open_signer(inputs: BuildInputs, cancellation: Cancellation) -> AbstractContextManager[Signer | None]:
    """Return who signs what a build pushes; None where nothing is signed.

    Args:
        inputs: the build's.
        cancellation: ends what is under way.
    """
    signing, settings = inputs.signing, inputs.registries
    if signing is None or not inputs.outputs.push:
        return nullcontext()
    if signing.key is None:
        from strake_builder.gateway.remote_signer import RemoteSigner

        return closing(RemoteSigner(settings, cancellation))
    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.attesting import AttestationSigner
    from strake_oci.signatures.writing import ImageSigner

    # A mirror may have an older list of signatures, and that one would be written back.
    client = RegistryClient(settings.without_mirrors(), inputs.credentials.push, cancellation=cancellation)
    signer = ImageSigner(client, signing.key, signing.forms)
    return closing(LocalSigner(client, signer, AttestationSigner(client, signing.key, signing.forms)))
