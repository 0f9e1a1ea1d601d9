"""Objects that a spec names and does not hold: looked at when the build starts."""

from __future__ import annotations

from strake_api.models.document import Document
from strake_api.values.object_name import Name


class LocalReference(Document):
    """An object of the same namespace."""

    name: Name
