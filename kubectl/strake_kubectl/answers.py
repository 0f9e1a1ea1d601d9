"""What an API server's refusal means, in words for the person who typed the command.

Source: Kubernetes API conventions, "Response Status Kind": `reason` tells why, `details` of which object.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from strake_kubectl.errors import CommandError, ExistsError, ForbiddenError, NotFoundError

_SHOWN = 2000


def refusal(status: int, body: bytes, doing: str) -> CommandError:
    """Return the error for an answer that is none of success.

    Args:
        status: Of HTTP.
        body: Of the answer, a Status as a rule.
        doing: What was asked for: "get ImageBuild app".
    """
    told = _status(body)
    message = str(told.get("message") or body[:_SHOWN].decode(errors="replace") or f"status {status}")
    reason, details = told.get("reason"), told.get("details")
    named = isinstance(details, dict) and bool(details.get("name"))
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return CommandError(
                "the cluster does not take your credentials",
                hint="log in again, then see `kubectl auth whoami`",
            )
        case HTTPStatus.FORBIDDEN:
            return ForbiddenError(
                f"cannot {doing}: {message}",
                hint="ask who runs the cluster for that right in this namespace (docs/kubectl.md, Rights)",
            )
        case HTTPStatus.NOT_FOUND if named:
            return NotFoundError(
                f"cannot {doing}: {message}", hint="see `kubectl strake get`, and -n for the namespace"
            )
        case HTTPStatus.NOT_FOUND if not told or reason == "NotFound":
            return CommandError(
                "this cluster has no ImageBuilds: Strake is not installed",
                hint="see docs/install.md, or name another cluster with --context",
            )
        case HTTPStatus.CONFLICT if reason == "AlreadyExists":
            return ExistsError(f"cannot {doing}: {message}", hint="use another name, or delete it first")
        case _:
            return CommandError(f"cannot {doing}: {message}")


def _status(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) and told.get("kind") == "Status" else {}
