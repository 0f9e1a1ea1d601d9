"""Base images that are mounted already: Kubernetes' image volumes, pulled, checked and unpacked by the node.

One directory stands for all layers of an image. It is read-only and shared by every pod of the node, so a
build that has it neither pulls nor unpacks its base. Which volume is which image is a matter of digests: a
manifest lists its layers, and layers with the same diff IDs, in the same order, are the same tree.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from strake_builder.errors import InvalidRequestError
from strake_builder.solve.images.base import PulledImage
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_oci.errors import OCIError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import DiffID, Digest

IDS_OF_A_POD = 1 << 16
"""What the kubelet maps into a pod's user namespace by default (`idsPerPod`).

A volume shows every other owner as nobody.
"""


@dataclass(frozen=True, slots=True)
class MountedBase:
    """Layers that a directory stands for.

    Attributes:
        directory: their tree; empty where it stands for none.
        layers: how many of the lowest layers it stands for.
        identity: names the tree, whatever directory it is in.
    """

    directory: str = ""
    layers: int = 0
    identity: str = ""


NOT_MOUNTED = MountedBase()


class BaseVolumes:
    """Finds the volumes that stand for layers. Thread-safe.

    Args:
        directories: by the digest of the image's manifest, for one platform.
        images: returns the images that the build resolved so far.
    """

    def __init__(
        self,
        directories: Mapping[Digest, str] | None = None,
        images: Callable[[], Iterable[PulledImage]] = tuple,
    ) -> None:
        self._directories = dict(directories or {})
        self._images = images

    def under(self, layers: Sequence[ImageLayer]) -> MountedBase:
        """Return the volume that stands for most of an image's lowest layers; `NOT_MOUNTED` where none does.

        Args:
            layers: bottom first.
        """
        if not self._directories:
            return NOT_MOUNTED
        ids = _leading_diff_ids(layers)
        found = NOT_MOUNTED
        for image in self._images():
            directory = self._directories.get(image.manifest)
            own = tuple(layer.diff_id for layer in image.layers)
            if directory is not None and len(own) > found.layers and ids[: len(own)] == own:
                found = MountedBase(directory, len(own), _identity(own))
        return found


def read_volumes(directories: Iterable[tuple[str, str]]) -> dict[Digest, str]:
    """Return where base images are mounted, by the digest of the manifest.

    Args:
        directories: digests and directories, as a request has them.

    Raises:
        InvalidRequestError: nothing is mounted there, or a digest is none.
    """
    found = {}
    for digest, directory in directories:
        if not os.path.isdir(directory):
            raise InvalidRequestError(
                f"the volume of the base image {digest} is not a directory: {directory}",
                hint="mount the image there, or leave it out of the request's baseVolumes",
            )
        try:
            found[Digest.parse(digest)] = directory
        except OCIError as error:
            raise InvalidRequestError(f"the request's baseVolumes: {error.account}") from error
    return found


def _leading_diff_ids(layers: Sequence[ImageLayer]) -> tuple[DiffID, ...]:
    """Return the diff IDs of the layers under the first that a step of this build made."""
    ids = []
    for layer in layers:
        if isinstance(layer, StepLayer):
            break
        ids.append(layer.diff_id)
    return tuple(ids)


def _identity(layers: Sequence[DiffID]) -> str:
    return "volume-" + hashlib.sha256("\0".join(map(str, layers)).encode()).hexdigest()
