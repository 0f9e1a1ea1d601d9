"""Where a builder pod unpacks images and keeps layers until they are pushed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, obeying
from strake_api.spec.resources import Quantity
from strake_api.values.object_name import Name

ONE_PLACE: Rule[Workspace] = Rule(
    "!has(self.medium) || !has(self.storageClassName)",
    "workspace is a volume of its own (storageClassName) or in memory (medium: Memory): drop one of them",
    lambda workspace: workspace.medium is None or workspace.storage_class_name is None,
)
SIZED: Rule[Workspace] = Rule(
    "!has(self.storageClassName) || has(self.sizeLimit)",
    "workspace.storageClassName needs workspace.sizeLimit: how large the volume is to be",
    lambda workspace: workspace.storage_class_name is None or workspace.size_limit is not None,
)


class Workspace(Document):
    """Where the builder works: its node's disk, where nothing else is given."""

    model_config = ConfigDict(json_schema_extra=cel_rules(ONE_PLACE, SIZED))

    size_limit: Quantity | None = None
    """How much it holds, as 50Gi: a limit on the node's disk or in memory, or the volume's size."""
    storage_class_name: Name | None = None
    """A StorageClass, of which a volume is made for the run and deleted with its pod."""
    medium: Literal["Memory"] | None = None
    """Memory: a tmpfs, which counts for the memory that the pod uses."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, ONE_PLACE, SIZED)
