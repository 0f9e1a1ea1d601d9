"""Which base images a run's pod mounts as image volumes, so that the builder need not pull and unpack them.

The kubelet pulls such an image once for all pods of its node. A run mounts what the platform lists, and what
the build's last run was built on. The last run tells that itself, so it is only believed where its steps
could not write in its name: in a nested pod. Else a step could name an image that its namespace may not
pull, and read it in the next run.

A volume that does not come must not keep a build from starting: the same attempt starts again without any
(`reconcile.retreat`), and what was refused is not asked for again for a time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strake_oci.errors import OCIError
from strake_oci.spec.reference import Reference
from strake_operator.reconcile.observed import Waiting
from strake_operator.settings.environment import MOST_VOLUMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from strake_api.status import ImageBuildStatus
    from strake_operator.reconcile.observed import BuilderRun
    from strake_operator.settings.environment import Settings

PULL_SECONDS: Final = 60.0
"""How long a pod waits for its volumes: the builder itself would have pulled most images by then."""
_IMAGE_PROBLEMS: Final = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ImageInspectError"}
_CREATING: Final = {"", "ContainerCreating", "PodInitializing"}
_REFUSED: Final = re.compile(r"\bvolumes?\b|\bvolumes\[", re.IGNORECASE)
_MANIFEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BaseLesson:
    """A volume that the pods of a namespace did not get."""

    namespace: str
    reference: str | None
    """None for all volumes: an API server or a runtime that has no image volumes."""


def base_volumes(
    status: ImageBuildStatus, settings: Settings, refused: Collection[str | None]
) -> tuple[str, ...]:
    """Return what a run's pod mounts: `repository@digest` of manifests for its platform.

    Args:
        status: As the build's last run left it.
        settings: The platform's settings.
        refused: What the namespace's pods did not get lately, see `BaseLesson.reference`.
    """
    if not settings.mounts_bases or None in refused:
        return ()
    last = (_by_manifest(base.reference, base.manifest) for base in status.base_images or ())
    wanted = dict.fromkeys((*(each for each in last if each), *settings.base_images))
    return tuple(each for each in wanted if each not in refused)[:MOST_VOLUMES]


def _by_manifest(reference: str, manifest: str | None) -> str | None:
    """Return the image that a Dockerfile's reference resolved to, as the kubelet is to pull it."""
    if manifest is None or not _MANIFEST.fullmatch(manifest):
        return None
    try:
        return f"{Reference.parse(reference).repository}@{manifest}"
    except OCIError:
        return None


def seconds_for_volumes(run: BuilderRun, now: datetime) -> float | None:
    """Return how much longer a pod may wait for its volumes; None where it has none, or runs."""
    pod = run.pod
    if not run.bases or pod is None or pod.since is None or not _is_created(run):
        return None
    return PULL_SECONDS - (now - pod.since).total_seconds()


def _is_created(run: BuilderRun) -> bool:
    container = run.pod.container if run.pod is not None else None
    return container is None or (isinstance(container, Waiting) and container.reason in _CREATING)


def missing_volume(run: BuilderRun, now: datetime) -> tuple[str | None, str] | None:
    """Return the volume that keeps a pod from starting (None: any of them), and Kubernetes' words for it.

    Returns:
        None where no volume does.
    """
    container = run.pod.container if run.pod is not None else None
    if not run.bases:
        return None
    if isinstance(container, Waiting) and container.reason in _IMAGE_PROBLEMS:
        words = container.message or container.reason
        return next(((each, words) for each in run.bases if each in words), None)
    if isinstance(container, Waiting) and container.reason not in _CREATING and "Error" in container.reason:
        words = container.message or container.reason
        return (None, words) if _REFUSED.search(words) else None
    left = seconds_for_volumes(run, now)
    if left is not None and left <= 0:
        return run.bases[0], f"the kubelet did not have {', '.join(run.bases)} after {PULL_SECONDS:.0f} s"
    return None


def refused_volume(words: str, bases: Iterable[str]) -> bool:
    """Return whether an API server or a rule of the cluster refuses a pod for its image volumes."""
    return any(bases) and _REFUSED.search(words) is not None
