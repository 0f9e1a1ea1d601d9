"""The CloudEvent about a run that ended, and its signature: pure functions.

Attributes are those of CloudEvents 1.0 (https://github.com/cloudevents/spec), in structured mode, so that the
signature is over all of them. Signatures are those of Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks), for which receivers have libraries.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strake_api.models.document import API_VERSION
from strake_api.reasons import FailureReason
from strake_api.status import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from strake_api.status import Run

TYPE_PREFIX: Final = "dev.strake.imagebuild."
CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_CANCELLED: Final = frozenset({FailureReason.CANCELLED, FailureReason.SUPERSEDED})
_KEPT: Final = (
    "generation",
    "trigger",
    "requestedBy",
    "attempts",
    "phase",
    "reason",
    "image",
    "digest",
    "startTime",
    "completionTime",
)
_LONGEST: Final = 1024
"""Characters of a value: a status that was written by hand may have any length."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """An event, ready to be signed and sent: the same bytes each time it is sent."""

    id: str
    """The same for the same run, whichever operator sends it."""
    body: bytes


def number_of(run: Run) -> int:
    """Return the number of a run; operators that counted generations wrote none."""
    return run.number or run.generation


def cloud_event(source: str, namespace: str, name: str, uid: str, run: Run) -> CloudEvent:
    """Return the event about a run of an ImageBuild that ended."""
    number = number_of(run)
    data = {
        "apiVersion": API_VERSION,
        "kind": "ImageBuild",
        "namespace": namespace,
        "name": name,
        "uid": uid,
        "run": number,
        **_about(run),
    }
    event = {
        "specversion": "1.0",
        "id": f"{uid}-{number}",
        "source": source,
        "type": TYPE_PREFIX + _outcome(run),
        "subject": f"{namespace}/{name}",
        "time": run.completion_time,
        "datacontenttype": "application/json",
        "data": data,
    }
    body = json.dumps({key: value for key, value in event.items() if value is not None})
    return CloudEvent(f"{uid}-{number}", body.encode())


def _outcome(run: Run) -> str:
    if run.phase is Phase.SUCCEEDED:
        return "succeeded"
    return "cancelled" if run.reason in _CANCELLED else "failed"


def _about(run: Run) -> Mapping[str, object]:
    """Return what receivers may know of a run: no words of a failure, which quote what steps wrote."""
    document = run.to_dict()
    return {
        key: value[:_LONGEST] if isinstance(value := document[key], str) else value
        for key in _KEPT
        if document.get(key) is not None
    }


def signed_headers(event: CloudEvent, keys: Iterable[bytes], moment: int) -> dict[str, str]:
    """Return the headers of an event that is sent at a moment: what it is, and a signature by each key.

    Args:
        event: The event.
        keys: The keys.
        moment: Seconds since 1970, which are signed too: a receiver refuses an old one.
    """
    signed = f"{event.id}.{moment}.".encode() + event.body
    signatures = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "Content-Type": CONTENT_TYPE,
        "webhook-id": event.id,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
