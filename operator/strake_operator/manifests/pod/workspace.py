"""The volume that a builder works on: its node's disk, where the spec says nothing else.

A volume of a StorageClass is an ephemeral one: Kubernetes makes it with the pod and deletes it with it. In a
chroot the container's own root takes everything, since stages are swapped by renaming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_operator.manifests.pod.resources import empty_directory

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.spec.pod.workspace import Workspace
    from strake_operator.isolation import PodForm
    from strake_operator.manifests.objects import Manifest

UNUSED: Final = (
    "spec.pod.workspace is not used: steps run in a chroot, where the container's own disk takes everything; "
    "resources.limits.ephemeral-storage bounds it"
)


def workspace_volume(spec: ImageBuildSpec, resources: Manifest) -> Manifest:
    """Return the volume of the work directory, without its name.

    Args:
        spec: What to build.
        resources: Of the builder's container.
    """
    asked = None if spec.pod is None else spec.pod.workspace
    if asked is None:
        return {"emptyDir": empty_directory(resources)}
    if asked.storage_class_name is not None:
        return {"ephemeral": {"volumeClaimTemplate": {"spec": _claim(asked)}}}
    directory: Manifest = {} if asked.medium else empty_directory(resources)
    if asked.medium is not None:
        directory["medium"] = asked.medium
    if asked.size_limit is not None:
        directory["sizeLimit"] = str(asked.size_limit)
    return {"emptyDir": directory}


def _claim(asked: Workspace) -> Manifest:
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": asked.storage_class_name,
        "resources": {"requests": {"storage": str(asked.size_limit)}},
    }


def unused_workspace(spec: ImageBuildSpec, form: PodForm) -> tuple[str, ...]:
    """Return a warning where the spec asks for a workspace that a pod of this form cannot use."""
    asked = spec.pod is not None and spec.pod.workspace is not None
    return (UNUSED,) if asked and form.kind == "chroot" else ()
