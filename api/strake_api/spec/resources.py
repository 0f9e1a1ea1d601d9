"""What the builder pod may take of its node."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, obeying
from strake_api.values.quantity import is_quantity, parse_quantity

MEASURED = ("cpu", "memory", "ephemeral-storage")

A_QUANTITY: Rule[str | int] = Rule(
    "type(self) == string ? isQuantity(self) : self >= 0",
    "a quantity is a number with a unit of Kubernetes: 500m, 2, 512Mi, 4Gi (not 1GB)",
    is_quantity,
)
RESOURCE_NAMES: Rule[Resources] = Rule(
    "[has(self.requests) ? self.requests.map(name, name) : [],"
    " has(self.limits) ? self.limits.map(name, name) : []].all(names,"
    " names.all(name, name in ['cpu', 'memory', 'ephemeral-storage']"
    " || name.contains('/') || name.startsWith('hugepages-')))",
    "resources are cpu, memory, ephemeral-storage, hugepages-SIZE or extended ones as example.com/gpu",
    lambda resources: all(
        name in MEASURED or "/" in name or name.startswith("hugepages-")
        for name in {**(resources.requests or {}), **(resources.limits or {})}
    ),
)
REQUESTS_FIT: Rule[Resources] = Rule(
    "!has(self.requests) || !has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(name,"
    " !(name in self.requests) || !(name in self.limits)"
    " || !isQuantity(string(self.requests[name])) || !isQuantity(string(self.limits[name]))"
    " || quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
    "resources.requests must not be more than resources.limits",
    lambda resources: all(
        parse_quantity(amount) <= parse_quantity((resources.limits or {}).get(name, amount))
        for name, amount in (resources.requests or {}).items()
        if name in MEASURED
    ),
)

Quantity = Annotated[
    str | int,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            **cel_rules(A_QUANTITY),
        }
    ),
    AfterValidator(A_QUANTITY.check),
]


class Resources(Document):
    """Compute resources of the builder pod, as in a container."""

    model_config = ConfigDict(json_schema_extra=cel_rules(RESOURCE_NAMES, REQUESTS_FIT))

    requests: Annotated[dict[str, Quantity], Field(max_length=15)] | None = None
    limits: Annotated[dict[str, Quantity], Field(max_length=15)] | None = None

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, RESOURCE_NAMES, REQUESTS_FIT)
