"""What the objects of a run have in common: metadata, labels, owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from strake_api.models.document import API_VERSION
from strake_operator import names

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Which run of which build an object belongs to."""

    namespace: str
    build: str
    uid: str
    generation: int
    attempt: int
    job: str

    def labels(self) -> dict[str, str]:
        """Return the labels of the Job, the pod and the ConfigMap."""
        return {
            "app.kubernetes.io/name": "strake-builder",
            "app.kubernetes.io/managed-by": "strake",
            names.UID_LABEL: self.uid,
            names.GENERATION_LABEL: str(self.generation),
            names.ATTEMPT_LABEL: str(self.attempt),
        }

    def metadata(self) -> Manifest:
        """Return metadata that ties an object's life to its ImageBuild's."""
        owner = {
            "apiVersion": API_VERSION,
            "kind": "ImageBuild",
            "name": self.build,
            "uid": self.uid,
            "controller": True,
        }
        return {
            "name": self.job,
            "namespace": self.namespace,
            "labels": self.labels(),
            "annotations": {names.BUILD_ANNOTATION: self.build},
            "ownerReferences": [owner],
        }
