"""The names and labels by which the operator finds again what it made.

They are functions of the ImageBuild alone, so that a restarted operator, or a second one, arrives at
the same Job instead of making another.
"""

from __future__ import annotations

import hashlib

UID_LABEL = "strake.dev/uid"
"""On Jobs and pods: the ImageBuild's UID. Its presence marks an object as the operator's."""
GENERATION_LABEL = "strake.dev/generation"
ATTEMPT_LABEL = "strake.dev/attempt"
BUILD_ANNOTATION = "strake.dev/imagebuild"
"""On Jobs and pods: the ImageBuild's name, which may be too long for a label."""
CONTAINER = "builder"
CERTIFICATE_VOLUME = "certificate-"
"""How the volumes of client certificates begin: events about missing Secrets name them."""

_LONGEST_NAME = 57
"""A Job's name is a label of its pods (63 characters), and pods add six characters of their own."""


def job_name(build: str, uid: str, generation: int, attempt: int) -> str:
    """Return the name of a run's Job and of its ConfigMap: `hello-4f1c2a-1`, `hello-4f1c2a-1-2`.

    The middle part keeps builds apart whose names only differ after the cut, or that were made anew.
    """
    unique = hashlib.sha256(f"{uid}/{build}".encode()).hexdigest()[:6]
    suffix = f"-{unique}-{generation}" + (f"-{attempt}" if attempt > 1 else "")
    return build.replace(".", "-")[: _LONGEST_NAME - len(suffix)].rstrip("-") + suffix
