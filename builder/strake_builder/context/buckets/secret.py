"""What opens a bucket, in a mounted Secret.

Who writes an ImageBuild may name any Secret of the namespace, and any bucket. So the Secret itself tells for
which buckets it is, in its key `bucket`, and nothing is signed or sent with it for another (decision 21).
"""

from __future__ import annotations

from typing import Final

from strake_api.models.source import BucketSource
from strake_builder.context.mounted_secret import secret_text
from strake_builder.errors import InvalidRequestError

_WHOSE: Final = "the source"
_BUCKET: Final = "bucket"
_S3: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_S3_TOKEN: Final = "AWS_SESSION_TOKEN"  # noqa: S105 - a key's name
_GS: Final = ("key.json",)
_AZURE: Final = ("AZURE_STORAGE_ACCESS_KEY",)


def mounted_bucket_secret(directory: str, source: BucketSource) -> dict[str, str]:
    """Return the keys of a mounted Secret that open a bucket.

    Args:
        directory: where the Secret is mounted.
        source: what is to be fetched with it.

    Raises:
        InvalidRequestError: a key is missing, or it is not for the bucket.
    """
    needed = _S3 if source.url.startswith("s3://") else _GS if source.url.startswith("gs://") else _AZURE
    found = {name: secret_text(directory, name, _WHOSE).strip() for name in (*needed, _S3_TOKEN)}
    for name in needed:
        if not found[name]:
            raise InvalidRequestError(
                f"the Secret of the source has no {name}",
                hint=f"it needs the keys {', '.join((*needed, _BUCKET))}",
            )
    _check_bucket(secret_text(directory, _BUCKET, _WHOSE), source.bucket_url)
    return {name: value for name, value in found.items() if value}


def _check_bucket(buckets: str, asked: str) -> None:
    allowed = [each.removesuffix("/") for each in buckets.replace(",", " ").split()]
    if asked in allowed:
        return
    if allowed:
        raise InvalidRequestError(
            f"the Secret of the source is not for {asked}: its key `bucket` names others",
            hint="name the Secret that is for this bucket, or have the bucket added to its key `bucket`",
        )
    raise InvalidRequestError(
        "the Secret of the source does not tell for which bucket it is, so it is used for none",
        hint=f"give it a key `bucket`: kubectl create secret generic … --from-literal=bucket={asked}",
    )
