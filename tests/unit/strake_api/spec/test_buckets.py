"""Archives in buckets: what may be named, and which bucket that is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.models.source import BucketSource
from strake_api.spec.source import Source

CHECKSUM = f"sha256:{'0' * 64}"
BLOBS = "https://acme.blob.core.windows.net"


def s3(**fields):
    return {"s3": {"bucket": "ci-box.v1", "key": "a/context.tar.gz", **fields}}


@pytest.mark.parametrize(
    ("source", "bucket"),
    [
        (s3(), "s3://ci-box.v1"),
        (s3(endpoint="https://minio.example:9000"), "https://minio.example:9000/ci-box.v1"),
        (s3(endpoint="http://10.0.0.1", checksum=CHECKSUM), "http://10.0.0.1/ci-box.v1"),
        (s3(region="eu-west-1", path="app", secret={"name": "keys"}), "s3://ci-box.v1"),
        ({"gs": {"bucket": "box_1", "object": "a+b/c=1.tar"}}, "gs://box_1"),
        ({"azure": {"url": f"{BLOBS}/ci/a/b.tar"}}, f"{BLOBS}/ci"),
    ],
)
def test_good_objects_and_their_buckets(source, bucket):
    found = Source.model_validate(source).in_bucket
    assert found is not None
    assert found.bucket_url == bucket
    endpoint = found.endpoint if found.kind == "s3" else None
    assert BucketSource(url=found.url, endpoint=endpoint).bucket_url == bucket


@pytest.mark.parametrize(
    ("source", "words"),
    [
        *(
            (s3(bucket=each), "s3.bucket is a bucket's name alone")
            for each in ("a..b", "a/b", "box?x", "Box")
        ),
        *(
            (s3(bucket=each), "s3.bucket is a bucket's name alone")
            for each in ("a@b", "...", ".box", "box\n", "a" * 62 + "!")
        ),
        *((s3(key=each), "s3.key is the name of an object") for each in ("../b/c", "a/../b", "a//b", "/a")),
        *(
            (s3(key=each), "s3.key is the name of an object")
            for each in ("a?x=1", "a#b", "a%2e%2e/b", "a\n", ".")
        ),
        *(
            (s3(endpoint=each), "s3.endpoint is written")
            for each in (
                "https://user:pw@minio.example",
                "https://bad.example?.good.example",
                "https://bad.example#.good.example",
                "https://bad.example\\.good.example",
                "https://minio.example/",
                "https://minio.example/path",
                "https://MINIO.example",
                "ftp://minio.example",
                "https://minio.example\n",
            )
        ),
        (s3(endpoint="http://minio.example"), "needs s3.checksum"),
        (s3(region="eu@bad.example"), "region"),
        (s3(path="../x"), "cannot leave it"),
        ({"gs": {"bucket": "a..b", "object": "c"}}, "gs.bucket is a bucket's name alone"),
        ({"gs": {"bucket": "box", "object": "../../o/c"}}, "gs.object is the name of an object"),
        *(
            ({"azure": {"url": each}}, "azure.url is written")
            for each in (
                "https://bad.example/c/b",
                "https://bad.example?.blob.core.windows.net/c/b",
                f"{BLOBS}@bad.example/c/b",
                f"{BLOBS}.bad.example/c/b",
                f"{BLOBS}/c/../d/b",
                f"{BLOBS}/c/%2e%2e/d/b",
                f"{BLOBS}/c/b?sv=1&sig=2",
                f"{BLOBS}/c",
                "http://acme.blob.core.windows.net/c/b",
            )
        ),
        ({**s3(), "gs": {"bucket": "box", "object": "c"}}, "exactly one of git, http, oci, s3"),
    ],
)
def test_what_cannot_be_meant(source, words):
    with pytest.raises(ValidationError, match=words):
        Source.model_validate(source)
