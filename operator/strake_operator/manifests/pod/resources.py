"""What a builder pod gets of its node: the spec's requests and limits, and the platform's where it has none.

A build runs commands that nobody has seen before, so there is a limit to everything by default: a fork bomb,
a leak or an endless file ends the build, not the node's other pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from strake_api.values.quantity import parse_quantity

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest
    from strake_operator.settings.environment import DefaultResources

_DISK: Final = "ephemeral-storage"


def container_resources(spec: ImageBuildSpec, defaults: DefaultResources) -> Manifest:
    """Return `resources` of the builder's container."""
    asked: dict[str, Any] = spec.resources.to_dict() if spec.resources else {}
    asked = {kind: {name: str(amount) for name, amount in each.items()} for kind, each in asked.items()}
    limits, requests = asked.get("limits", {}), asked.get("requests", {})
    usual_requests = {
        "cpu": defaults.cpu_request,
        "memory": defaults.memory_request,
        _DISK: defaults.disk_request,
    }
    usual_limits = {"cpu": defaults.cpu_limit, "memory": defaults.memory_limit, _DISK: defaults.disk_limit}
    # A limit without a request is a request of the same size: Kubernetes' own rule.
    all_requests = {name: each for name, each in usual_requests.items() if each and name not in limits}
    all_requests |= requests
    all_limits = {
        name: _larger(each, all_requests.get(name)) for name, each in usual_limits.items() if each is not None
    }
    all_limits |= limits
    return {kind: each for kind, each in (("requests", all_requests), ("limits", all_limits)) if each}


def _larger(limit: str, request: str | None) -> str:
    """Return a default limit: as much as is requested, where that is more."""
    return request if request and parse_quantity(request) > parse_quantity(limit) else limit


def empty_directory(resources: Manifest) -> Manifest:
    """Return an `emptyDir` that holds no more than the pod may take on its node's disk."""
    limit = resources.get("limits", {}).get(_DISK)
    return {} if limit is None else {"sizeLimit": limit}
