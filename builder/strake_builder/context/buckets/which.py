"""Which cloud an object is in."""

from __future__ import annotations

from collections.abc import Mapping

from strake_api.models.source import BucketSource
from strake_builder.context.buckets.azure import azure_request
from strake_builder.context.buckets.gcs import gcs_request
from strake_builder.context.buckets.request import ObjectRequest
from strake_builder.context.buckets.s3 import s3_request


def request_for(
    source: BucketSource, variables: Mapping[str, str], secret: Mapping[str, str] | None = None
) -> ObjectRequest:
    """Return how an object is asked for.

    Args:
        source: which object.
        variables: the environment.
        secret: keys of a Secret that are used in place of any other identity.

    Raises:
        SourceError: it names no object, an extra is missing, or there is no using the identity.
    """
    if source.url.startswith("s3://"):
        return s3_request(source.url, variables, secret, endpoint=source.endpoint, region=source.region)
    if source.url.startswith("gs://"):
        return gcs_request(source.url, variables, secret)
    return azure_request(source.url, variables if secret is None else secret)
