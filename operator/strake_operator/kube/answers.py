"""What the API server's answers mean: by code and reason of their Status, and by words where need be."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from kubernetes.aio import client
from pydantic import ValidationError

from strake_operator.errors import (
    ClusterError,
    ConflictError,
    ExistsError,
    NamespaceEndsError,
    NotFoundError,
    RefusedError,
)
from strake_operator.reconcile.ends.refuser import is_denied

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFUSALS: Final = frozenset({400, 403, 405, 413, 415, 422})
_ENDS: Final = "NamespaceTerminating"
"""The cause of a refusal to make anything in a namespace that is being deleted."""


@contextmanager
def api_errors(what: str) -> Iterator[None]:
    """Turn the library's exceptions into ours, the most specific first."""
    try:
        yield
    except client.ApiException as error:
        raise error_of(error, what) from error
    except ValidationError as error:
        # The library checks what it sends.
        raise RefusedError(f"{what}: {error.errors(include_url=False, include_input=False)[0]}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ClusterError(f"{what}: {str(error) or type(error).__name__}") from error


def error_of(error: client.ApiException, what: str) -> ClusterError:
    """Return the API server's answer as an error of ours."""
    try:
        status: dict[str, Any] = dict(json.loads(error.body or ""))
    except (TypeError, ValueError):
        status = {}
    text = f"{what}: {status.get('message') or f'{error.status} {error.reason}'}"
    if _causes(status) & {_ENDS}:
        return NamespaceEndsError(text)
    if _is_final(error.status) and is_denied(text):
        # Which code a rule of the cluster answers with is its own choice: 404 and 409 among them.
        return RefusedError(text, forbidden=True)
    if error.status == HTTPStatus.CONFLICT:
        # The code alone does not tell: a quota that others use at the same time answers 409, too.
        return ExistsError(text) if status.get("reason") == "AlreadyExists" else ConflictError(text)
    if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return NotFoundError(text)
    if error.status in _REFUSALS:
        return RefusedError(text, forbidden=error.status == HTTPStatus.FORBIDDEN)
    return ClusterError(text)


def _causes(status: dict[str, Any]) -> set[Any]:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return {each.get("reason") for each in causes or () if isinstance(each, dict)}


def _is_final(code: int | None) -> bool:
    """Return whether an answer is about the request, and not about a server in trouble."""
    too_many = HTTPStatus.TOO_MANY_REQUESTS
    return code is not None and code < HTTPStatus.INTERNAL_SERVER_ERROR and code != too_many
