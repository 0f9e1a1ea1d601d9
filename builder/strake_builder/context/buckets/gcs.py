"""A context in Google Cloud Storage: an archive, downloaded as any other, with a token.

The official google-auth finds the identity (Application Default Credentials: a file, workload identity, the
metadata server); the download is Strake's own. It is the optional extra `gcp`, imported when the first bucket
is asked for. Without it, or without an identity, the object is asked for as a public one.

Sources: Google, "Objects: get" of the JSON API, and "Request endpoints" for how names are encoded; its client
libraries, for $STORAGE_EMULATOR_HOST, which is asked without a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

from strake_builder.context.buckets.request import ObjectRequest
from strake_builder.errors import SourceError
from strake_oci.credentials.gcp import google_key_token, google_token
from strake_oci.errors import CredentialError

_ENDPOINT: Final = "https://storage.googleapis.com"
_EMULATOR: Final = "STORAGE_EMULATOR_HOST"
_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"
_RIGHT: Final = "storage.objects.get"
_NO_IDENTITY: Final = (
    "there is no identity: workload identity, $GOOGLE_APPLICATION_CREDENTIALS or the machine's"
)


_KEY: Final = "key.json"


def gcs_request(
    url: str, variables: Mapping[str, str], secret: Mapping[str, str] | None = None
) -> ObjectRequest:
    """Return how an object is asked for; without a token where there is no identity.

    Args:
        url: gs://BUCKET/OBJECT.
        variables: STORAGE_EMULATOR_HOST; google-auth reads its own.
        secret: the key of a Secret, in place of any other identity.

    Raises:
        SourceError: the URL names no object, or Google refused the identity.
    """
    bucket, _, name = url.removeprefix("gs://").partition("/")
    if not bucket or not name:
        raise SourceError(f"{url} names no object of a bucket", hint="write gs://BUCKET/PATH/context.tar.gz")
    path = f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}?alt=media"
    emulator = variables.get(_EMULATOR)
    if emulator:
        base = emulator if "://" in emulator else f"http://{emulator}"
        return ObjectRequest("{0.scheme}://{0.netloc}".format(urlsplit(base)) + path, {}, _RIGHT)
    headers: dict[str, str] = {}
    missing = ""
    found: tuple[str, datetime | None] | None
    try:
        found = google_token(_SCOPE) if secret is None else google_key_token(secret[_KEY], _SCOPE)
    except ImportError:
        found, missing = None, "for private objects: pip install 'strake[gcp]'"
    except CredentialError as error:
        raise SourceError(
            f"no credentials for {url} from Google: {error.message}",
            hint=f"check that the service account is bound to an identity with {_RIGHT}",
        ) from error
    if found is not None:
        headers["Authorization"] = f"Bearer {found[0]}"
    elif not missing:
        missing = _NO_IDENTITY
    return ObjectRequest(_ENDPOINT + path, headers, _RIGHT, missing)
