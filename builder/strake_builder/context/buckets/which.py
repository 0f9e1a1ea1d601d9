"""Which cloud an object is in."""

from __future__ import annotations

from collections.abc import Mapping

from strake_builder.context.buckets.azure import azure_request
from strake_builder.context.buckets.gcs import gcs_request
from strake_builder.context.buckets.request import ObjectRequest
from strake_builder.context.buckets.s3 import s3_request


def request_for(url: str, variables: Mapping[str, str]) -> ObjectRequest:
    """Return how the object at a URL is asked for.

    Args:
        url: s3://BUCKET/KEY, gs://BUCKET/OBJECT, or the https URL of a blob of Azure's.
        variables: the environment.

    Raises:
        SourceError: it names no object, an extra is missing, or there is no using the identity.
    """
    if url.startswith("s3://"):
        return s3_request(url, variables)
    if url.startswith("gs://"):
        return gcs_request(url, variables)
    return azure_request(url, variables)
