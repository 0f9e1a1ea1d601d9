"""Strake's own images, pushed to the test cluster's registry."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from strake_oci.registry import ClientSettings, RegistryClient
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.reference import Reference
from strake_oci.stores.layout import Layout
from strake_oci.transfers.copying import copy_image
from tests.cluster.settings import REGISTRY
from tests.images.own import ROOT, OwnImageError, own_layout, sources_key

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ROOT", "OwnImageError", "own_image", "own_images"]
TARGETS = ("builder", "operator")


def own_images(say: Callable[[str], None]) -> dict[str, str]:
    """Return `repository@digest` of the builder's and the operator's image, built where they are not kept."""
    with ThreadPoolExecutor(len(TARGETS)) as pool:
        return dict(zip(TARGETS, pool.map(lambda target: own_image(target, say), TARGETS), strict=True))


def own_image(target: str, say: Callable[[str], None]) -> str:
    """Return `repository@digest` of one image, a stage of the Dockerfile."""
    reference = Reference.parse(f"{REGISTRY}/strake/{target}:{sources_key()}")
    layout = Layout(own_layout(target, say))
    with RegistryClient(ClientSettings.insecure(REGISTRY)) as client:
        digest = copy_image(layout, "", RegistryImages(client, reference.repository), reference.tag).digest
    say(f"{target}: {reference.repository}@{digest}")
    return f"{reference.repository}@{digest}"
