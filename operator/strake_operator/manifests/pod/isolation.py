"""The parts of a builder's pod that depend on how its steps are kept apart from the node.

A nested pod has a user namespace of its own, in which the builder makes another: what it mounts ends there.
It names no seccomp profile (or one that the platform brought to the nodes), since RuntimeDefault refuses the
second namespace. In a chroot pod steps run at the container's own root, under RuntimeDefault: the root is
writable, and nothing is mounted where a base image has directories.

Neither adds a capability to those that Pod Security `baseline` allows: the thirteen are what a container has
anyway with containerd, and are named for CRI-O, which gives fewer. To drop all first would take NET_RAW away,
which may not be named.

Source: Kubernetes, Pod Security Standards, "Baseline".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_operator.isolation import PodForm

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest
    from strake_operator.settings.environment import Settings

BASELINE_CAPABILITIES = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)


def pod_isolation(form: PodForm, spec: ImageBuildSpec, settings: Settings) -> Manifest:
    """Return the fields of the pod's spec."""
    security: Manifest = {"runAsUser": 0, "runAsGroup": 0}
    if form.kind == "chroot":
        security["seccompProfile"] = {"type": "RuntimeDefault"}
    elif settings.seccomp_profile is not None:
        security["seccompProfile"] = {"type": "Localhost", "localhostProfile": settings.seccomp_profile}
    fields: Manifest = {"securityContext": security}
    if form is not PodForm.HOST_USERS:
        fields["hostUsers"] = False
    if (runtime_class := spec.runtime_class or settings.runtime_class) is not None:
        fields["runtimeClassName"] = runtime_class
    return fields


def container_isolation(form: PodForm) -> Manifest:
    """Return the container's `securityContext`."""
    security: Manifest = {
        "privileged": False,
        "readOnlyRootFilesystem": form.kind == "nested",
        "capabilities": {"add": list(BASELINE_CAPABILITIES)},
    }
    if form is PodForm.NESTED:
        security["procMount"] = "Unmasked"
    return security
