"""Labels and annotations that an author may give a builder pod.

By labels and annotations Strake knows its pods, Kubernetes and container runtimes loosen what keeps a pod
from its node, and clouds give identities. An author of ImageBuilds may have no right to make pods, so those
are not theirs to set. All else is, as for any pod: whatever selects pods by labels (a Service, a
NetworkPolicy) goes by theirs.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from strake_api.models.rule import Rule, checked
from strake_api.spec.pod.placement import label_keys
from strake_api.values.labels import LabelValue

_DOMAINS = (
    r"(^|[.])(strake[.]dev"
    r"|kubernetes[.]io|k8s[.]io"  # reserved; AppArmor, seccomp, CDI's devices, the autoscaler are there
    r"|crio[.]io|cri-o[.]io|containerd[.]io|nri[.]io|noderesource[.]dev"  # CRI-O's and NRI's devices
    r"|eks[.]amazonaws[.]com|iam[.]amazonaws[.]com|iam[.]gke[.]io|azure[.]workload[.]identity)$"
)
_NAMES = (
    r"^(io[.]kubernetes[.]|io[.]containerd[.]|io[.]katacontainers[.]|dev[.]gvisor[.]|run[.]oci[.]"
    r"|controller-uid$|job-name$)"
)
"""Runtimes' own keys have no domain: what a virtual machine's hypervisor is, for example."""
_FREE = r"^app[.]kubernetes[.]io/"
_OWN = frozenset({"app.kubernetes.io/name", "app.kubernetes.io/managed-by"})


def _is_free(key: str) -> bool:
    if re.search(_FREE, key):
        return key not in _OWN
    return not re.search(_NAMES, key) and not re.search(_DOMAINS, key.partition("/")[0])


def _free_keys(field: str) -> Rule[dict[str, str]]:
    return Rule(
        f"self.all(key, key.matches('{_FREE}')"
        f" ? !(key in ['app.kubernetes.io/name', 'app.kubernetes.io/managed-by'])"
        f" : !key.matches('{_NAMES}') && !key.split('/')[0].matches('{_DOMAINS}'))",
        f"{field} cannot hold keys of strake.dev, of Kubernetes (but app.kubernetes.io, without name and "
        "managed-by), of container runtimes and of clouds' identities: Strake sets what a builder pod needs",
        lambda given: all(map(_is_free, given)),
    )


PodLabels = Annotated[
    dict[str, LabelValue],
    Field(max_length=32),
    *checked(label_keys("pod.labels"), _free_keys("pod.labels")),
]
PodAnnotations = Annotated[
    dict[str, Annotated[str, Field(max_length=8192)]],
    Field(max_length=32),
    *checked(label_keys("pod.annotations"), _free_keys("pod.annotations")),
]
