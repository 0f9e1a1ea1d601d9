"""Push a base image to a local registry.

python -m tests.images.push NAME REGISTRY/REPOSITORY:TAG
"""

from __future__ import annotations

import sys

from strake_oci.credentials import CredentialSource
from strake_oci.registry import ClientSettings, RegistryClient
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.reference import Reference
from strake_oci.stores.layout import Layout
from strake_oci.transfers.copying import copy_image
from tests.images.layouts import image_layout


def push_image(name: str, reference: str, credentials: CredentialSource | None = None) -> str:
    """Make sure that a registry (spoken to over plain HTTP) has an image; return its digest."""
    target = Reference.parse(reference)
    layout = Layout(image_layout(name))
    with RegistryClient(ClientSettings.insecure(target.repository.registry), credentials) as client:
        images = RegistryImages(client, target.repository)
        return str(copy_image(layout, "latest", images, target.tag).digest)


if __name__ == "__main__":
    print(push_image(sys.argv[1], sys.argv[2]))
