"""What an ImageBuild says about the pod that builds, and where the platform's settings hold otherwise."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.models.host_alias import HostAlias
from strake_api.models.rule import Rule, checked
from strake_api.spec.named import LocalReference
from strake_api.spec.pod.dns import DNSConfig
from strake_api.spec.pod.placement import Affinity, Labels, Toleration, TopologySpreadConstraint, label_keys
from strake_api.spec.pod.pod_metadata import PodAnnotations, PodLabels
from strake_api.spec.pod.workspace import Workspace
from strake_api.values.object_name import Name

LINUX_NODES: Rule[dict[str, str]] = Rule(
    "!('kubernetes.io/os' in self) || self['kubernetes.io/os'] == 'linux'",
    "builders run on Linux: drop kubernetes.io/os from pod.nodeSelector",
    lambda labels: labels.get("kubernetes.io/os", "linux") == "linux",
)


class BuilderPod(Document):
    """How the builder pod is run. What is not given is the platform's."""

    runtime_class_name: Name | None = None
    """A RuntimeClass of the cluster, whose runtime runs the pod: gVisor, Kata. In place of the platform's."""
    node_selector: Annotated[Labels, *checked(label_keys("pod.nodeSelector"), LINUX_NODES)] | None = None
    """Labels that the node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] | None = None
    """Taints of nodes that the pod may go to in spite of them, as in any pod."""
    affinity: Affinity | None = None
    """Nodes, and other pods, that the pod must or should be near to or far from, as in any pod."""
    topology_spread_constraints: (
        Annotated[tuple[TopologySpreadConstraint, ...], Field(max_length=16)] | None
    ) = None
    """How evenly pods are spread over zones or nodes, as in any pod."""
    priority_class_name: Name | None = None
    """A PriorityClass of the cluster: who goes before whom where nodes are full."""
    image_pull_secrets: Annotated[tuple[LocalReference, ...], Field(max_length=8)] | None = None
    """Secrets of type kubernetes.io/dockerconfigjson with which the node pulls the builder's own image."""
    labels: PodLabels | None = None
    """Labels of the pod besides Strake's own."""
    annotations: PodAnnotations | None = None
    """Annotations of the pod besides Strake's own."""
    host_aliases: Annotated[tuple[HostAlias, ...], Field(max_length=32)] | None = None
    """Addresses of names, for the builder and for RUN."""
    dns_config: DNSConfig | None = None
    """Name servers, domains to search and options of the resolver, for the builder and for RUN."""
    workspace: Workspace | None = None
    """Where images are unpacked and layers wait: the node's disk, memory, or a volume of its own."""

    @property
    def resolves_names(self) -> bool:
        """Whether the pod finds addresses in another way than the platform's pods do."""
        servers = self.dns_config is not None and bool(
            self.dns_config.nameservers or self.dns_config.searches
        )
        return bool(self.host_aliases) or servers
