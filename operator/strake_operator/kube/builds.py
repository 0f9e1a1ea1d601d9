"""ImageBuilds as the watch knows them, so that most reconciles read none from the API server.

They are kept as compressed JSON: ten thousand take some ten megabytes. A large one, which carries its
context, is not kept and is read each time. What the operator itself wrote is known at once, before the watch
tells: a reconcile never acts on a status from before its own last write.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from strake_operator.names import RERUN_ANNOTATION

if TYPE_CHECKING:
    from strake_operator.kube.reading import Object

LARGEST_BYTES: Final = 32 * 1024
"""What is kept of one ImageBuild, compressed."""
_UNKEPT: Final = b""


class KnownBuilds:
    """ImageBuilds by namespace and name, each in the newest version that anybody told of."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[int | None, bytes]] = {}

    def note(self, body: Object) -> bool:
        """Keep an ImageBuild that somebody told of, unless a newer version is known.

        Returns:
            Whether it is another version than the known one, and not older.
        """
        key, version = _key(body), _version(body)
        known = self._kept.get(key, (None, _UNKEPT))[0]
        if version is not None and known is not None and version < known:
            return False
        is_news = version is None or version != known
        packed = zlib.compress(json.dumps(_slim(body), separators=(",", ":")).encode(), level=1)
        self._kept[key] = (version, packed if len(packed) <= LARGEST_BYTES else _UNKEPT)
        return is_news

    def wrote(self, body: Object) -> None:
        """Keep what the API server answered to a write, of an ImageBuild that is known and not gone since."""
        if _key(body) in self._kept:
            self.note(body)

    def version(self, namespace: str, name: str) -> int | None:
        """Return which version of an ImageBuild is known; None where none is."""
        return self._kept.get((namespace, name), (None, _UNKEPT))[0]

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is known of an ImageBuild: it is gone."""
        self._kept.pop((namespace, name), None)

    def doubt(self, namespace: str, name: str) -> None:
        """Have the next read of an ImageBuild be a fresh one."""
        if self.knows(namespace, name):
            self._kept[namespace, name] = (None, _UNKEPT)

    def knows(self, namespace: str, name: str) -> bool:
        """Return whether somebody told of an ImageBuild that is not gone since."""
        return (namespace, name) in self._kept

    def get(self, namespace: str, name: str) -> Object | None:
        """Return an ImageBuild, without what nobody reads; None where only the API server can tell."""
        _, packed = self._kept.get((namespace, name), (None, _UNKEPT))
        if packed == _UNKEPT:
            return None
        body: Object = json.loads(zlib.decompress(packed))
        return body


def _key(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _version(body: Object) -> int | None:
    """Return a number that grows from version to version of an object (Kubernetes 1.35 promises it)."""
    text = body["metadata"].get("resourceVersion", "")
    return int(text) if text.isdecimal() else None


def _slim(body: Object) -> dict[str, Any]:
    """Return an ImageBuild with the managers of its fields only where somebody asked for a rerun."""
    metadata = dict(body["metadata"])
    if RERUN_ANNOTATION not in (metadata.get("annotations") or {}):
        metadata.pop("managedFields", None)
    return {"metadata": metadata, "spec": body.get("spec") or {}, "status": body.get("status") or {}}
