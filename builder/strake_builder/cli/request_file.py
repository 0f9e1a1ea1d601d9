"""The request of a pod, which its executor and its gateway read.

The credentials of the pod are for one build: what somebody else put in place of its request would get them,
too. So the pod's own spec gives both the digest of the request.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path

from strake_api.requests.kinds import AnyRequest, parse_request
from strake_builder.cli.registries import ca_bundle
from strake_builder.cli.validation import validated
from strake_builder.errors import InvalidRequestError


def read_request(arguments: argparse.Namespace) -> AnyRequest:
    """Return the request that the flags of `add_request_flags` name, and trust the CAs in it.

    Raises:
        InvalidRequestError: it cannot be read, is none, or has another digest.
    """
    path = arguments.request
    with validated(f"the request {path}"):
        request = parse_request(_read(path, arguments.request_digest))
    if request.ca is not None:
        ca_bundle.install(request.ca, os.environ)
    return request


def builds(path: str) -> bool:
    """Say whether a request is one of a build, which runs steps; one that cannot be read is reported as such.

    Nothing is checked: what then reads the request refuses another kind.
    """
    try:
        kind = json.loads(Path(path).read_bytes()).get("kind")
    except (OSError, ValueError, AttributeError, RecursionError):
        return True
    return kind not in {"SourceRequest", "IndexRequest"}


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
