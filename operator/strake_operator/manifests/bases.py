"""Base images in a builder's pod: an image volume each, and where the request says that it is.

The kubelet mounts them read-only. It pulls with the pod's pull secrets: the build's own, or that of a policy.

Source: Kubernetes, "Use an Image Volume With a Pod".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.requests.build import BaseVolume
from strake_operator.settings.default_secrets import pull_secret

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest, RunIdentity
    from strake_operator.settings.environment import Settings

_DIRECTORY: Final = "/strake/bases"


def requested_volumes(bases: tuple[str, ...]) -> tuple[BaseVolume, ...]:
    """Return what the request says of a pod's base images."""
    return tuple(
        BaseVolume(manifest=base.rpartition("@")[2], directory=f"{_DIRECTORY}/{number}")
        for number, base in enumerate(bases)
    )


def base_image_volumes(run: RunIdentity) -> tuple[list[Manifest], list[Manifest]]:
    """Return volumes and mounts of the base images of a run."""
    volumes: list[Manifest] = []
    mounts: list[Manifest] = []
    for number, base in enumerate(run.bases):
        name = f"base-{number}"
        volumes.append({"name": name, "image": {"reference": base, "pullPolicy": "IfNotPresent"}})
        mounts.append({"name": name, "mountPath": f"{_DIRECTORY}/{number}", "readOnly": True})
    return volumes, mounts


def pull_secrets(run: RunIdentity, spec: ImageBuildSpec, settings: Settings) -> Manifest:
    """Return the field of the pod's spec by which the kubelet pulls the builder's image and private bases."""
    asked = (spec.pod.image_pull_secrets if spec.pod is not None else None) or ()
    names = [each.name for each in asked]
    if run.bases and (secret := pull_secret(spec, settings)) is not None:
        names.append(secret)
    return {"imagePullSecrets": [{"name": name} for name in dict.fromkeys(names)]} if names else {}
