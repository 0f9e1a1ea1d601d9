"""Which resources an API server has, and where: what kubectl asks before it reads an object of any kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

DOCUMENT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""The media type of all groups' resources in one answer."""
PATHS = ("/api", "/apis")


@dataclass(frozen=True)
class Resource:
    """A kind of object.

    Attributes:
        api_version: as in a manifest: v1, batch/v1.
        kind: as in a manifest.
        plural: its last part in paths.
        namespaced: whether its objects are in namespaces.
        names: by which people call it: plural, singular, short names, and the plural with the group.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    names: frozenset[str]

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of an object, or of the list of all."""
        root = "apis" if "/" in self.api_version else "api"
        room = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"/{root}/{self.api_version}{room}/{self.plural}/{name}".rstrip("/")


def resources(documents: Iterable[dict[str, Any]]) -> list[Resource]:
    """Return what discovery documents list, each group's preferred version first, as the server orders them."""
    return [
        _resource(group.get("metadata", {}).get("name", ""), version["version"], each)
        for document in documents
        for group in document["items"]
        for version in group["versions"]
        for each in version.get("resources", ())
    ]


def _resource(group: str, version: str, found: dict[str, Any]) -> Resource:
    plural, kind = found["resource"], found["responseKind"]["kind"]
    names = {plural, kind.lower(), *found.get("shortNames", ())}
    names |= {found["singularResource"]} if found.get("singularResource") else set()
    names |= {f"{each}.{group}" for each in (plural,) if group}
    return Resource(
        f"{group}/{version}" if group else version,
        kind,
        plural,
        namespaced=found["scope"] == "Namespaced",
        names=frozenset(names),
    )
