"""Values for the Dockerfile's ARGs: given here, or taken from a ConfigMap or a Secret."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, keyed, obeying
from strake_api.requests.build import ArgumentName, ArgumentValue
from strake_api.spec.named import KeyReference

ONE_VALUE: Rule[Argument] = Rule(
    "!has(self.value) || !has(self.valueFrom)",
    "an argument has a value or valueFrom: drop one of the two",
    lambda argument: argument.value is None or argument.value_from is None,
)
ONE_OBJECT: Rule[ValueSource] = Rule(
    "has(self.configMapKeyRef) != has(self.secretKeyRef)",
    "valueFrom needs exactly one of configMapKeyRef or secretKeyRef",
    lambda source: (source.config_map_key_ref is None) != (source.secret_key_ref is None),
)


class ValueSource(Document):
    """Where a value comes from: exactly one of configMapKeyRef or secretKeyRef."""

    model_config = ConfigDict(json_schema_extra=cel_rules(ONE_OBJECT))

    config_map_key_ref: KeyReference | None = None
    """A key of a ConfigMap of the same namespace."""
    secret_key_ref: KeyReference | None = None
    """A key of a Secret of the same namespace. The image's history shows the value: see `secrets`."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, ONE_OBJECT)


class Argument(Document):
    """A value for an ARG of the Dockerfile. It ends up in the image's history: never a secret."""

    model_config = ConfigDict(json_schema_extra=cel_rules(ONE_VALUE))

    name: ArgumentName
    value: ArgumentValue | None = None
    """The value; empty where there is no valueFrom either."""
    value_from: ValueSource | None = None
    """Where the value comes from, when the build starts."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, ONE_VALUE)


Arguments = Annotated[tuple[Argument, ...], *keyed("name", most=128)]
