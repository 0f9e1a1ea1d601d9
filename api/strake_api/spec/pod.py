"""What an ImageBuild says about the pod that builds, and where the platform's settings hold otherwise."""

from __future__ import annotations

from strake_api.models.document import Document
from strake_api.values.object_name import Name


class BuilderPod(Document):
    """How the builder pod is run. What is not given is the platform's."""

    runtime_class_name: Name | None = None
    """A RuntimeClass of the cluster, whose runtime runs the pod: gVisor, Kata. In place of the platform's."""
