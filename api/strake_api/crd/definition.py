"""The CustomResourceDefinitions of ImageBuild and BuildPolicy, generated from the models.

Kubernetes asks for a structural schema: no references, no `anyOf` to say "or absent", no titles. The
transformation is small because the models use few of JSON Schema's words; a word that it does not
know raises, so that nothing gets lost in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strake_api.buildpolicy import BuildPolicySpec
from strake_api.crd.docstrings import DescribedSchema
from strake_api.imagebuild import ImageBuildSpec
from strake_api.models.document import GROUP, VERSION
from strake_api.status import ImageBuildStatus

if TYPE_CHECKING:
    from pydantic import BaseModel

Schema = dict[str, Any]

_KEPT = {
    "type", "const", "format", "pattern", "enum", "required", "minimum", "maximum",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
}  # fmt: skip
_DROPPED = {"title"}
_READY = '.status.conditions[?(@.type=="Ready")]'


class UnknownKeywordError(Exception):
    """A model's JSON Schema says something that this generator cannot carry over."""


@dataclass(frozen=True, slots=True)
class _Converter:
    definitions: dict[str, Schema]
    defaults: bool

    def structural(self, schema: Schema) -> Schema:
        """Return a schema of pydantic as a structural schema."""
        schema = self._without_indirection(schema)
        if schema.get("x-kubernetes-int-or-string"):
            return {key: value for key, value in schema.items() if key not in {*_DROPPED, "default"}}
        made = {key: self._keyword(key, value) for key, value in schema.items() if key not in _DROPPED}
        if "const" in made:
            made["enum"] = [made.pop("const")]
        return {key: value for key, value in made.items() if value is not None}

    def _without_indirection(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self.definitions[schema["$ref"].rpartition("/")[2]], **rest}
        if "anyOf" in schema and not schema.get("x-kubernetes-int-or-string"):
            (present,) = [option for option in schema["anyOf"] if option != {"type": "null"}]
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return self._without_indirection({**present, **rest})
        return schema

    def _keyword(self, key: str, value: Any) -> Any:
        if key in _KEPT:
            return value
        match key:
            case "description":
                return " ".join(value.split())
            case "default":
                return value if self.defaults and value != [] else None
            case "properties":
                return {name: self.structural(inner) for name, inner in value.items()}
            case "items":
                return self.structural(value)
            case "additionalProperties":
                # Fields beyond `properties` are pruned by the API server and refused by kubectl.
                return None if value is False else self.structural(value)
            case _:
                raise UnknownKeywordError(f"{key}: {value!r}")


def schema_of(model: type[BaseModel], *, defaults: bool) -> Schema:
    """Return a model's structural schema.

    Raises:
        UnknownKeywordError: The model's JSON Schema uses a keyword without a counterpart here.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=DescribedSchema)
    return _Converter(schema.pop("$defs", {}), defaults).structural(schema)


def _columns() -> list[Schema]:
    return [
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Reason", "type": "string", "jsonPath": _READY + ".reason"},
        {"name": "Image", "type": "string", "jsonPath": ".status.image"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        {"name": "Digest", "type": "string", "jsonPath": ".status.digest", "priority": 1},
        {"name": "Isolation", "type": "string", "jsonPath": ".status.isolation.kind", "priority": 1},
        {"name": "Duration", "type": "string", "jsonPath": ".status.duration", "priority": 1},
        {"name": "Message", "type": "string", "jsonPath": _READY + ".message", "priority": 1},
    ]


def image_build_definition() -> Schema:
    """Return the CustomResourceDefinition of ImageBuild."""
    status = schema_of(ImageBuildStatus, defaults=False)
    # A reader that compares generations must not take a build that nobody has seen for an up-to-date one.
    status["default"] = {"observedGeneration": -1}
    schema = {
        "type": "object",
        "description": "ImageBuild builds a container image from a Dockerfile and pushes it to a registry.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema_of(ImageBuildSpec, defaults=True),
            "status": status,
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"imagebuilds.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "ImageBuild",
                "listKind": "ImageBuildList",
                "plural": "imagebuilds",
                "singular": "imagebuild",
                "shortNames": ["ib"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(),
                }
            ],
        },
    }


def build_policy_definition() -> Schema:
    """Return the CustomResourceDefinition of BuildPolicy."""
    schema = {
        "type": "object",
        "description": "BuildPolicy says what the ImageBuilds of some namespaces may ask for.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema_of(BuildPolicySpec, defaults=True),
        },
    }
    version = {"name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"buildpolicies.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": "BuildPolicy",
                "listKind": "BuildPolicyList",
                "plural": "buildpolicies",
                "singular": "buildpolicy",
            },
            "versions": [version],
        },
    }
