"""The names and labels by which the operator finds again what it made.

They are functions of the ImageBuild alone, so that a restarted operator, or a second one, arrives at
the same Job instead of making another.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from strake_operator.isolation import PodForm

if TYPE_CHECKING:
    from collections.abc import Mapping

UID_LABEL = "strake.dev/uid"
"""On Jobs and pods: the ImageBuild's UID. Its presence marks an object as the operator's."""
RUN_LABEL = "strake.dev/run"
"""On Jobs and pods: the number of the run."""
OLD_RUN_LABEL = "strake.dev/generation"
"""The same on Jobs of operators that counted generations."""
RERUN_ANNOTATION = "strake.dev/rerun"
"""On ImageBuilds: each new value asks for a run."""
CANCEL_ANNOTATION = "strake.dev/cancel"
"""On ImageBuilds: each new value ends the run that waits or goes on."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""On ImageBuilds and their Jobs: the LocalQueue of Kueue that lets the Job start."""
ATTEMPT_LABEL = "strake.dev/attempt"
FORM_LABEL = "strake.dev/isolation"
"""On Jobs and pods: the form of the pod, which says how steps are to be kept apart."""
PART_LABEL = "strake.dev/part"
"""On Jobs and pods of a run of several platforms: source, index, or the platform as linux-arm64."""
FORM_ANNOTATION = "strake.dev/isolation-reason"
"""On Jobs: why the form is no stricter one."""
BUILD_ANNOTATION = "strake.dev/imagebuild"
"""On Jobs and pods: the ImageBuild's name, which may be too long for a label."""
BASES_ANNOTATION = "strake.dev/base-volumes"
"""On Jobs: the base images that the pod mounts."""
PLAIN_ANNOTATION = "strake.dev/base-volumes-reason"
"""On Jobs: why the pod mounts none, where one that did could not start."""
REQUEST_ANNOTATION = "strake.dev/request-uid"
"""On Jobs: the UID of the run's ConfigMap, so that no other one of its name is deleted."""
CONTAINER = "builder"
GATEWAY = "gateway"
"""Has the credentials, and reports on the log."""
SOURCE_CONTAINER = "source"
"""Fetches what a Secret opens, before the builder starts."""

DEFAULT_PULL_VOLUME = "default-pull"
"""The volume of the pull Secret that a policy names: an event about the Secret has the volume's name."""

_SHORT_LABEL = re.compile(r"[a-z0-9-]{1,40}")
_CERTIFICATE_VOLUME = re.compile(r'volume "certificate-\d+(?:-([a-z0-9-]+))?"')
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_POD_SUFFIX = re.compile(r"[a-z0-9]{5}")
_LONGEST_NAME = 57
"""A Job's name is a label of its pods (63 characters), and pods add six characters of their own."""


def certificate_volume(number: int, secret: str) -> str:
    """Return the name of a client certificate's volume: `certificate-0-registry-client`.

    It tells the Secret's name, where a volume may have such a name: an event about a Secret of the wrong type
    names the volume alone.
    """
    return f"certificate-{number}-{secret}" if _SHORT_LABEL.fullmatch(secret) else f"certificate-{number}"


def certificate_secret(event: str) -> str | None:
    """Return the Secret that an event about a client certificate's volume is about; None for other events.

    It is empty where the volume's name does not tell.
    """
    found = _CERTIFICATE_VOLUME.search(event)
    return None if found is None else found[1] or ""


_FORMS = "|".join(PodForm)
_PLAIN = "plain"
_PART = "source|index|linux-[a-z0-9]{1,16}(?:-v[0-9]{1,2})?"
_PART_NAME = re.compile(_PART)
_RUN_NAME = re.compile(
    rf".*-[0-9a-f]{{6}}-[0-9]+(-({_PART}))?(-[0-9]+)?(-({_FORMS}))?(-{_PLAIN})?(-[a-z0-9]{{5}})?"
)


def may_be_a_run(name: str) -> bool:
    """Return whether a Job or a pod of this name may be the operator's."""
    return _RUN_NAME.fullmatch(name) is not None


def run_of_labels(labels: Mapping[str, str]) -> tuple[int, int, PodForm, str | None] | None:
    """Return number, attempt, form and part as labels tell them; None where they are not the operator's."""
    numbers = [labels.get(RUN_LABEL) or labels.get(OLD_RUN_LABEL, ""), labels.get(ATTEMPT_LABEL, "")]
    form, part = labels.get(FORM_LABEL, PodForm.NESTED), labels.get(PART_LABEL)
    if form not in set(PodForm) or not all(map(_NUMBER.fullmatch, numbers)):
        return None
    if part is not None and not _PART_NAME.fullmatch(part):
        return None
    number, attempt = map(int, numbers)
    return number, attempt, PodForm(form), part


def run_names(
    build: str, uid: str, number: int, attempt: int, form: PodForm, part: str | None = None
) -> frozenset[str]:
    """Return the names that the Jobs of an attempt in one form may have."""
    return frozenset(
        job_name(build, uid, number, attempt, form, plain=plain, part=part) for plain in (False, True)
    )


def is_pod_of(name: str, job: str) -> bool:
    """Return whether a pod has a name that Kubernetes gives to the pods of a Job."""
    return name.startswith(f"{job}-") and _POD_SUFFIX.fullmatch(name, len(job) + 1) is not None


def job_name(
    build: str,
    uid: str,
    number: int,
    attempt: int,
    form: PodForm = PodForm.NESTED,
    *,
    plain: bool = False,
    part: str | None = None,
) -> str:
    """Return the name of a run's Job and of its ConfigMap: `hello-4f1c2a-1`, `hello-4f1c2a-1-2-chroot`.

    A run that started again without the volumes of its base images is `hello-4f1c2a-1-plain`, and the second
    attempt of a part `hello-4f1c2a-1-linux-arm64-2`.

    The middle part keeps builds apart whose names only differ after the cut, or that were made anew.
    """
    unique = hashlib.sha256(f"{uid}/{build}".encode()).hexdigest()[:6]
    suffix = f"-{unique}-{number}" + (f"-{part}" if part else "") + (f"-{attempt}" if attempt > 1 else "")
    suffix += "" if form is PodForm.NESTED else f"-{form}"
    suffix += f"-{_PLAIN}" if plain else ""
    return build.replace(".", "-")[: _LONGEST_NAME - len(suffix)].rstrip("-") + suffix
