"""Which node a builder pod goes to: on Linux, where the spec says, rather where programs run by themselves.

Rather, not only: a Dockerfile that cross-compiles (`FROM --platform=$BUILDPLATFORM`) or only copies builds
anywhere, and an emulator (binfmt_misc) lets a cluster of one architecture build for others. There, a pod that
must have such a node would wait for ever. Where nodes of an architecture are started on demand or often full,
waiting is right: the platform's setting says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.values.platform import ARCHITECTURE_LABEL, architecture
from strake_operator.manifests.parts import is_emulated

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest
    from strake_operator.parts import Part
    from strake_operator.settings.environment import Settings

_ANY_NODE = {"kubernetes.io/os": "linux"}
# Processors that run an architecture's programs besides its own.
_RUN_BY = {"386": ("386", "amd64"), "arm": ("arm", "arm64")}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_CARRIED = ("topologySpreadConstraints",)


def placement(spec: ImageBuildSpec, settings: Settings, part: Part | None = None) -> Manifest:
    """Return the fields of the pod's spec that say where it runs, and before whom.

    Args:
        spec: Of the pod's part, where its run has parts.
        settings: The platform's settings.
        part: A platform of several is built on nodes of its own, unless the settings say that it is emulated.
    """
    asked = spec.pod.to_dict() if spec.pod is not None else {}
    given = settings.placement
    nodes = {**asked.get("nodeSelector", {}), **given.node_selector, **_ANY_NODE}
    fields: Manifest = {"nodeSelector": nodes}
    fields |= {name: asked[name] for name in _CARRIED if name in asked}
    if tolerations := [*asked.get("tolerations", ()), *given.tolerations]:
        fields["tolerations"] = tolerations
    if priority := asked.get("priorityClassName") or given.priority_class:
        fields["priorityClassName"] = priority
    affinity: Manifest = asked.get("affinity", {})
    if spec.platform is not None:
        is_required = settings.native_nodes_only if part is None else not is_emulated(part, settings)
        nodes = _with_native_nodes(affinity.get("nodeAffinity", {}), spec.platform, is_required=is_required)
        affinity = {**affinity, "nodeAffinity": nodes}
    return {**fields, "affinity": affinity} if affinity else fields


def _with_native_nodes(asked: Manifest, platform: str, *, is_required: bool) -> Manifest:
    """Return the node affinity that a spec asks for, with the platform's nodes."""
    wanted = architecture(platform)
    native = {
        "key": ARCHITECTURE_LABEL,
        "operator": "In",
        "values": list(_RUN_BY.get(wanted, (wanted,))),
    }
    if not is_required:
        preferred = [{"weight": 100, "preference": {"matchExpressions": [native]}}]
        return {**asked, _PREFERRED: [*asked.get(_PREFERRED, ()), *preferred]}
    # One of the terms must hold, so each has to ask for such a node. An empty term holds for none.
    terms = asked.get(_REQUIRED, {}).get("nodeSelectorTerms", [{"matchExpressions": []}])
    both = [
        {**term, "matchExpressions": [*term.get("matchExpressions", ()), native]}
        for term in terms
        if term or _REQUIRED not in asked
    ]
    return {**asked, _REQUIRED: {"nodeSelectorTerms": both or terms}}


def name_resolution(spec: ImageBuildSpec) -> Manifest:
    """Return the fields of the pod's spec by which it finds addresses of names."""
    asked = spec.pod.to_dict() if spec.pod is not None else {}
    return {name: asked[name] for name in ("hostAliases", "dnsConfig") if name in asked}
