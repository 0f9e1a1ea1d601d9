"""Mounted Secrets for buckets: what they need, and for which bucket they are used."""

from __future__ import annotations

import pytest

from strake_api.models.source import BucketSource
from strake_builder.context.buckets.gcs import gcs_request
from strake_builder.context.buckets.s3 import s3_request
from strake_builder.context.buckets.secret import mounted_bucket_secret
from strake_builder.errors import InvalidRequestError, SourceError

KEYS = {"AWS_ACCESS_KEY_ID": "AKID\n", "AWS_SECRET_ACCESS_KEY": "hidden\n"}
S3 = BucketSource(url="s3://box/c.tar")
OWN = BucketSource(url="s3://box/c.tar", endpoint="https://minio.example:9000")
GS = BucketSource(url="gs://box/c.tar")
AZURE = BucketSource(url="https://acme.blob.core.windows.net/box/c.tar")


def read(directory, source, **keys):
    for name, content in keys.items():
        (directory / name.replace("key_json", "key.json")).write_text(content)
    return mounted_bucket_secret(str(directory), source)


@pytest.mark.parametrize(
    ("source", "keys", "bucket"),
    [
        (S3, KEYS, "s3://box"),
        (S3, KEYS, "gs://box, s3://box/\n"),
        (OWN, KEYS, "https://minio.example:9000/box"),
        (GS, {"key_json": "{}"}, "gs://box"),
        (AZURE, {"AZURE_STORAGE_ACCESS_KEY": "a2V5"}, "https://acme.blob.core.windows.net/box"),
    ],
)
def test_a_secret_for_the_bucket(tmp_path, source, keys, bucket):
    found = read(tmp_path, source, bucket=bucket, **keys)
    assert set(found.values()) == {value.strip() for value in keys.values()}


@pytest.mark.parametrize(
    ("source", "bucket"),
    [
        (S3, "s3://other"),
        (S3, "s3://*"),
        (S3, "https://minio.example:9000/box"),
        (OWN, "s3://box"),
        (OWN, "https://minio.example:9000"),
        (S3, ""),
    ],
)
def test_a_secret_of_another_bucket_is_used_for_none(tmp_path, source, bucket):
    with pytest.raises(InvalidRequestError, match=r"is not for|does not tell for which bucket") as refused:
        read(tmp_path, source, bucket=bucket, **KEYS)
    assert "bucket" in str(refused.value.hint)
    assert "hidden" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    ("source", "key"), [(S3, "AWS_ACCESS_KEY_ID"), (GS, "key.json"), (AZURE, "AZURE_ST")]
)
def test_a_secret_without_its_key(tmp_path, source, key):
    with pytest.raises(InvalidRequestError, match=f"has no {key}"):
        read(tmp_path, source, bucket=source.bucket_url)


def test_a_request_is_signed_with_the_secret_for_the_endpoint_and_region():
    secret = {name: value.strip() for name, value in KEYS.items()}
    found = s3_request(
        "s3://box/c.tar", {}, secret, endpoint="https://minio.example:9000", region="eu-west-1"
    )
    assert found.url == "https://minio.example:9000/box/c.tar"
    assert "Credential=AKID/" in found.headers["Authorization"]
    assert "/eu-west-1/s3/" in found.headers["Authorization"]
    assert "hidden" not in str(found.headers)


@pytest.mark.parametrize(
    "key",
    [
        "hidden",
        "[]",
        '{"type": "external_account", "credential_source": {"executable": {"command": "hidden"}}}',
        '{"type": "service_account", "private_key": "hidden", "client_email": "a@b", "token_uri": "http://x"}',
    ],
)
def test_what_is_no_key_of_a_service_account(key):
    with pytest.raises(SourceError, match="no JSON key of a service account") as refused:
        gcs_request("gs://box/c.tar", {}, {"key.json": key})
    assert "hidden" not in refused.value.message
