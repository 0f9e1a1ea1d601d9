"""Which node a builder pod goes to: on Linux, and rather where the platform's programs run by themselves.

Rather, not only: a Dockerfile that cross-compiles (`FROM --platform=$BUILDPLATFORM`) or only copies builds
anywhere, and an emulator (binfmt_misc) lets a cluster of one architecture build for others. There, a pod that
must have such a node would wait for ever. Where nodes of an architecture are started on demand or often full,
waiting is right: the platform's setting says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.values.platform import architecture

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest
    from strake_operator.settings import Settings

_ARCHITECTURE_LABEL = "kubernetes.io/arch"
# Processors that run an architecture's programs besides its own.
_RUN_BY = {"386": ("386", "amd64"), "arm": ("arm", "arm64")}


def placement(spec: ImageBuildSpec, settings: Settings) -> Manifest:
    """Return the fields of the pod's spec that say where it runs."""
    selector = {"nodeSelector": {"kubernetes.io/os": "linux"}}
    if spec.platform is None:
        return selector
    wanted = architecture(spec.platform)
    native = {
        "matchExpressions": [
            {"key": _ARCHITECTURE_LABEL, "operator": "In", "values": list(_RUN_BY.get(wanted, (wanted,)))}
        ]
    }
    affinity: Manifest
    if settings.native_nodes_only:
        affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [native]}}
    else:
        affinity = {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": native}]
        }
    return {**selector, "affinity": {"nodeAffinity": affinity}}
