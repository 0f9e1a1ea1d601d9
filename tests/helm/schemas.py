"""JSON Schemas for kubeconform, made of what an API server tells about its kinds: it would fetch them otherwise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LOCATION = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
"""How kubeconform names a file: `deployment-apps-v1.json`."""
_PREFIX = "#/definitions/"
_NUMBERS_TOO = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": ["string", "integer"],
    "io.k8s.apimachinery.pkg.api.resource.Quantity": ["string", "number"],
}
"""Types that the document calls strings, and the API server takes as numbers."""


def write_schemas(openapi: dict[str, Any], directory: Path) -> int:
    """Write a file for each kind of an OpenAPI 2 document; return how many there are.

    An object with named fields takes no others, as where an API server validates strictly.
    """
    definitions = {name: _closed(each) for name, each in openapi["definitions"].items()}
    definitions.update({name: {"type": types} for name, types in _NUMBERS_TOO.items()})
    count = 0
    for name, each in definitions.items():
        for kind in openapi["definitions"][name].get("x-kubernetes-group-version-kind", ()):
            group = kind["group"].partition(".")[0]
            suffix = f"{group}-{kind['version']}" if group else kind["version"]
            used = {other: definitions[other] for other in _reachable(definitions, name)}
            file = directory / f"{kind['kind']}-{suffix}.json".lower()
            file.write_text(json.dumps({**each, "definitions": used}))
            count += 1
    return count


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    closed: dict[str, Any] = {}
    for word, content in schema.items():
        if word == "properties":
            closed[word] = {name: _closed(each) for name, each in content.items()}
        elif word in {"items", "additionalProperties"} and isinstance(content, dict):
            closed[word] = _closed(content)
        elif not word.startswith("x-kubernetes-"):
            closed[word] = content
    if "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _reachable(definitions: dict[str, Any], name: str) -> set[str]:
    """Return the names of the definitions that one leads to."""
    found: set[str] = set()
    open_names = [name]
    while open_names:
        for each in _references(definitions[open_names.pop()]):
            if each not in found:
                found.add(each)
                open_names.append(each)
    return found


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [found for each in schema for found in _references(each)]
    if not isinstance(schema, dict):
        return []
    here = [schema["$ref"].removeprefix(_PREFIX)] if isinstance(schema.get("$ref"), str) else []
    return here + [found for each in schema.values() for found in _references(each)]
