"""What the objects of a run have in common: metadata, labels, owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from strake_api.models.document import API_VERSION
from strake_operator import names
from strake_operator.isolation import PodForm
from strake_operator.parts import Part, part_label

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Which run of which build an object belongs to."""

    namespace: str
    build: str
    uid: str
    number: int
    attempt: int
    job: str
    form: PodForm = PodForm.NESTED
    why: str | None = None
    """Why the form is no stricter one."""
    bases: tuple[str, ...] = ()
    """The base images that its pod mounts."""
    plain: str | None = None
    """Why it mounts none, where one that did could not start."""
    generation: int | None = None
    """Of the ImageBuild, for which the run was started."""
    queue: str | None = None
    """The queue of Kueue that the Job waits in."""
    part: Part | None = None
    """What the Job does of a run of several platforms."""

    def labels(self) -> dict[str, str]:
        """Return the labels of the Job, the pod and the ConfigMap."""
        return {
            "app.kubernetes.io/name": "strake-builder",
            "app.kubernetes.io/managed-by": "strake",
            names.UID_LABEL: self.uid,
            names.RUN_LABEL: str(self.number),
            names.ATTEMPT_LABEL: str(self.attempt),
            names.FORM_LABEL: str(self.form),
            **({names.PART_LABEL: part_label(self.part.name)} if self.part is not None else {}),
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
        annotations = {names.BUILD_ANNOTATION: self.build}
        if self.why is not None:
            annotations[names.FORM_ANNOTATION] = self.why
        if self.bases:
            annotations[names.BASES_ANNOTATION] = " ".join(self.bases)
        if self.plain is not None:
            annotations[names.PLAIN_ANNOTATION] = self.plain
        return {
            "name": self.job,
            "namespace": self.namespace,
            "labels": self.labels(),
            "annotations": annotations,
            "ownerReferences": [owner],
        }
