"""The manifest of an ImageBuild from flags: no more than what was asked for, for people who read it later."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from strake_api.imagebuild import ImageBuild
from strake_api.models.document import API_VERSION
from strake_builder.cli.validation import validated
from strake_builder.errors import InvalidRequestError
from strake_kubectl.errors import CommandError

Manifest = dict[str, Any]


def manifest_of(
    arguments: argparse.Namespace, name: str, source: Mapping[str, Any], base: Mapping[str, Any] | None = None
) -> Manifest:
    """Return a manifest that the cluster's rules accept, as far as they are known here.

    Args:
        arguments: Of `add_spec_flags`.
        name: Of the ImageBuild.
        source: `spec.source`.
        base: A spec, of which what flags say counts more.

    Raises:
        CommandError: A flag says something that no ImageBuild may have.
    """
    metadata: Manifest = {"name": name}
    if arguments.namespace:
        metadata["namespace"] = arguments.namespace
    if arguments.labels:
        metadata["labels"] = dict(arguments.labels)
    manifest = {"apiVersion": API_VERSION, "kind": "ImageBuild", "metadata": metadata}
    spec: Manifest = {"source": dict(source), **{k: v for k, v in (base or {}).items() if k != "source"}}
    platforms = [each.strip() for each in (arguments.platform or "").split(",") if each.strip()]
    fields = {
        "dockerfile": arguments.dockerfile,
        "target": arguments.target,
        "args": [{"name": name, "value": value} for name, value in arguments.build_args],
        "platform": platforms[0] if len(platforms) == 1 else None,
        "platforms": platforms if len(platforms) > 1 else None,
        "output": {**spec.get("output", {}), **_destinations(arguments)},
        "cache": {"repository": arguments.cache_repository} if arguments.cache_repository else None,
        "pushSecret": _named(arguments.push_secret),
        "pullSecret": _named(arguments.pull_secret),
        "serviceAccountName": arguments.service_account,
        "timeout": arguments.timeout,
    }
    spec |= {field: value for field, value in fields.items() if value}
    manifest["spec"] = spec
    try:
        with validated("the ImageBuild"):
            ImageBuild.model_validate(manifest)
    except InvalidRequestError as error:
        raise CommandError(error.message, hint=error.hint, exit_status=2) from error
    return manifest


def _destinations(arguments: argparse.Namespace) -> Manifest:
    return {"destinations": list(arguments.destinations)} if arguments.destinations else {}


def _named(secret: str | None) -> Manifest | None:
    return {"name": secret} if secret else None


def replacing(old: object, new: object) -> object:
    """Return the merge patch (RFC 7396) that makes a document the new one: other fields go."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    gone = dict.fromkeys(old.keys() - new.keys())
    return {**gone, **{name: replacing(old.get(name), value) for name, value in new.items()}}
