"""A context in a bucket of S3 or what speaks like it: an archive, downloaded as any other, with a signature.

The official botocore finds an identity (variables, files, the role of the pod or of the machine) and signs
with it; the download is Strake's own, with its rules of what may be reached. It is the optional extra `aws`,
imported when the first bucket is asked for.

Sources: kaniko's README, "Kaniko Build Contexts", for the variables; AWS, "Authenticating Requests: Using the
Authorization Header".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from strake_builder.context.buckets.request import ObjectRequest
from strake_builder.errors import SourceError

_ENDPOINT: Final = "S3_ENDPOINT"
_PATH_STYLE: Final = "S3_FORCE_PATH_STYLE"
_REGION: Final = "us-east-1"


_RIGHT: Final = "s3:GetObject"


_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
_SECRET_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - a variable's name
_SESSION: Final = "AWS_SESSION_TOKEN"


def s3_request(
    url: str,
    variables: Mapping[str, str],
    secret: Mapping[str, str] | None = None,
    *,
    endpoint: str | None = None,
    region: str | None = None,
) -> ObjectRequest:
    """Return how an object is asked for; without a signature where there is no identity.

    Args:
        url: s3://BUCKET/KEY.
        variables: kaniko's S3_ENDPOINT and S3_FORCE_PATH_STYLE; botocore reads its own.
        secret: the keys of a Secret, in place of any other identity.
        endpoint: of a store other than AWS, in place of the variable; its buckets are parts of the path.
        region: the bucket's, in place of any other.

    Raises:
        SourceError: the extra is missing, the URL names no object, or there is no using the identity.
    """
    try:
        from botocore import UNSIGNED
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.config import Config
        from botocore.credentials import Credentials
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import get_session
    except ImportError as error:
        raise SourceError(
            f"{url} is in a bucket, and botocore is not installed", hint="pip install 'strake[aws]'"
        ) from error
    parts = urlsplit(url)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if not bucket or not key:
        raise SourceError(f"{url} names no object of a bucket", hint="write s3://BUCKET/PATH/context.tar.gz")
    is_path = endpoint is not None or variables.get(_PATH_STYLE, "").lower() == "true"
    style = "path" if is_path else "auto"
    try:
        session = get_session()
        region = region or session.get_config_variable("region") or variables.get("AWS_REGION") or _REGION
        client = session.create_client(
            "s3",
            region_name=region,
            endpoint_url=endpoint or variables.get(_ENDPOINT) or None,
            config=Config(signature_version=UNSIGNED, s3={"addressing_style": style}),
        )
        where = {"Bucket": bucket, "Key": key}
        request = AWSRequest("GET", str(client.generate_presigned_url("get_object", Params=where)))
        if secret is None:
            identity = session.get_credentials()
        else:
            identity = Credentials(secret[_KEY_ID], secret[_SECRET_KEY], secret.get(_SESSION))
        if identity is not None:
            S3SigV4Auth(identity.get_frozen_credentials(), "s3", region).add_auth(request)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise SourceError(
            f"cannot sign for {url}: {str(error).partition(chr(10))[0][:200]}",
            hint="check $AWS_REGION, $S3_ENDPOINT and the identity",
        ) from error
    return ObjectRequest(request.url, dict(request.headers.items()), _RIGHT)
