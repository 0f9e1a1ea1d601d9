"""Who a builder pod is to a cloud: its ServiceAccount, whose token only the cloud's webhook projects.

EKS (IRSA, Pod Identity) and GKE go by the ServiceAccount alone. Azure's webhook leaves out every pod without
a label. The pod gets no token of the Kubernetes API in any case.

Source: Azure Workload Identity, "Service Account Labels and Annotations".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest

_AZURE_LABEL = "azure.workload.identity/use"


def identity_labels(spec: ImageBuildSpec) -> dict[str, str]:
    """Return the labels by which webhooks find the pod."""
    return {} if spec.service_account_name is None else {_AZURE_LABEL: "true"}


def pod_identity(spec: ImageBuildSpec) -> Manifest:
    """Return the fields of the pod's spec that say who it is."""
    account = {} if spec.service_account_name is None else {"serviceAccountName": spec.service_account_name}
    return {**account, "automountServiceAccountToken": False}
