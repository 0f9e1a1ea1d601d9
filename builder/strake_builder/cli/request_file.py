"""The BuildRequest of a pod, which its executor and its gateway read.

The credentials of the pod are for one build: what somebody else put in place of its request would get them,
too. So the pod's own spec gives both the digest of the request.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path

from strake_api.requests.build import BuildRequest
from strake_builder.cli.registries import ca_bundle
from strake_builder.cli.validation import validated
from strake_builder.errors import InvalidRequestError


def read_request(arguments: argparse.Namespace) -> BuildRequest:
    """Return the request that the flags of `add_request_flags` name, and trust the CAs in it.

    Raises:
        InvalidRequestError: it cannot be read, is none, or has another digest.
    """
    path = arguments.request
    with validated(f"the request {path}"):
        request = BuildRequest.model_validate_json(_read(path, arguments.request_digest))
    if request.ca is not None:
        ca_bundle.install(request.ca, os.environ)
    return request


def _read(path: str, digest: str | None) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"cannot read the request {path}: {error.strerror}") from error
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest is not None and found != digest:
        raise InvalidRequestError(
            f"the request {path} is not the one that was made for this build: its digest is {found}, and "
            f"{digest} is expected. In a pod it comes from the ConfigMap with the name of the Job: somebody "
            "made that before, or replaced it. Delete it, see who may create ConfigMaps there, then delete "
            "the ImageBuild and apply it again"
        )
    return content
