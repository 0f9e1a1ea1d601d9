"""`-o json`, `-o yaml` and `-o name`: what other programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import yaml

from strake_kubectl.builds import Build

Form = Literal["json", "yaml", "name"]


def names(builds: Sequence[Build]) -> str:
    """Return the names, one a line, as other commands of kubectl take them."""
    return "".join(f"{resource(each.name)}\n" for each in builds)


def resource(name: str) -> str:
    """Return how kubectl calls an object of a name."""
    return f"imagebuild.strake.dev/{name}"


def document(content: Mapping[str, Any], form: Form) -> str:
    """Return an object as JSON or YAML. Nothing in it reaches a terminal as a control character."""
    if form == "name":
        return f"{resource(str(content['metadata']['name']))}\n"
    if form == "json":
        return json.dumps(content, indent=4) + "\n"
    return yaml.safe_dump(dict(content), sort_keys=False, default_flow_style=False)


def listed(builds: Sequence[Build], form: Form) -> str:
    """Return builds as one list."""
    if form == "name":
        return names(builds)
    items = [dict(each.document) for each in builds]
    return document({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {"name": ""}}, form)
