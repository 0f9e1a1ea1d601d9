"""The request that an object of a bucket is had with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ObjectRequest:
    """A GET for an object.

    Attributes:
        url: http or https; it has no secret.
        headers: what opens it; none for a public object. They are secret.
        right: what the identity needs, in the cloud's words, for the message of a refusal.
        missing: what is needed to have an identity at all, likewise; empty where nothing is missing.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    right: str
    missing: str = ""
