"""Objects that a spec names and does not hold: looked at when the build starts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.values.object_name import Name

DataKey = Annotated[str, Field(pattern=r"^[-._A-Za-z0-9]+$", max_length=253)]
"""A key in the data of a Secret or a ConfigMap."""


class LocalReference(Document):
    """An object of the same namespace."""

    name: Name


class KeyReference(LocalReference):
    """A key of an object of the same namespace."""

    key: DataKey
