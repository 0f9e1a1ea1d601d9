"""Who signs a build's image: this process, or the gateway."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from strake_builder.output.signing import LocalSigner, Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_builder.solve.inputs import BuildInputs
    from strake_oci.cancellation import Cancellation


@contextmanager
def open_signer(inputs: BuildInputs, cancellation: Cancellation) -> Iterator[Signer | None]:
    """Open who signs what a build pushes; None where nothing is signed.

    Args:
        inputs: the build's.
        cancellation: ends what is under way.
    """
    signing, settings = inputs.signing, inputs.registries
    if signing is None or not inputs.outputs.push:
        yield None
        return
    if signing.key is None:
        from strake_builder.gateway.remote_signer import RemoteSigner

        with closing(RemoteSigner(settings, cancellation)) as remote:
            yield remote
        return
    from strake_oci.registry.client import RegistryClient

    # A mirror may have an older list of signatures, and that one would be written back.
    client = RegistryClient(settings.without_mirrors(), inputs.credentials.push, cancellation=cancellation)
    go_on = cancellation.on_cancel(signing.key.stop)
    try:
        with closing(LocalSigner(client, signing.key, signing.forms)) as local:
            yield local
    finally:
        go_on()
