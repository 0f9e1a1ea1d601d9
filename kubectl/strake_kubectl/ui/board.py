"""All builds that the caller may see, kept up to date by a watch, so that pages cost the cluster nothing.

    list ─▶ watch ─▶ list …        in a thread of its own, until the program ends

Of each build only what lists show is kept, so that ten thousand of them fit into some tens of megabytes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from strake_kubectl.builds import CANCEL, RERUN, Build, build_of
from strake_kubectl.cluster import Cluster
from strake_kubectl.errors import CommandError, ForbiddenError

MOST: Final = 10_000
"""Builds that are kept."""
_PAGE: Final = 500
"""As client-go pages."""
_WATCH: Final = 240
"""Seconds of one watch: what is between here and the API server ends silent connections."""
_PAUSE: Final = 2.0
"""Seconds after a failure, so that a cluster in trouble is not asked in a loop."""
_LONGEST: Final = 500
"""Characters of a message in a list."""
_METADATA: Final = ("name", "namespace", "uid", "generation", "creationTimestamp")
_STATUS: Final = (
    "observedGeneration",
    "run",
    "lastHandled",
    "phase",
    "queue",
    "image",
    "steps",
    "progress",
    "startTime",
    "completionTime",
    "duration",
)

Key = tuple[str, str]
"""Namespace and name."""


class Board:
    """The builds.

    Args:
        cluster: Has them.
        everywhere: Whether those of all namespaces are wanted; where the caller may not list all, those of
            the cluster's own namespace are shown.
    """

    def __init__(self, cluster: Cluster, *, everywhere: bool) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._builds: dict[Key, Build] = {}
        self._versions: dict[Key, int] = {}
        self._version = 0
        self._unreadable: set[Key] = set()
        self._is_full = False
        self._trouble = ""
        self._closed = threading.Event()
        self.everywhere = everywhere
        self._resource_version = self._first_list()

    def start(self) -> None:
        """Begin to watch, in a thread that ends with the program."""
        threading.Thread(target=self._watch, name="board", daemon=True).start()

    def close(self) -> None:
        """Watch no more, from the end of the present watch on."""
        self._closed.set()

    @property
    def builds(self) -> list[Build]:
        """All of them, the newest first."""
        with self._lock:
            found = list(self._builds.values())
        found.sort(key=lambda each: (each.namespace, each.name))
        found.sort(key=_newest, reverse=True)
        return found

    def version(self, key: Key | None = None) -> int:
        """Return a number that grows with each change: of a build, or of any."""
        with self._lock:
            return self._version if key is None else self._versions.get(key, 0)

    @property
    def notes(self) -> list[str]:
        """What a reader of a list must know, a sentence each."""
        found = []
        with self._lock:
            if not self.everywhere:
                found.append(f"These are the builds of namespace {self._cluster.namespace} alone.")
            if self._is_full:
                found.append(f"There are more than {MOST} builds: not all are shown.")
            if self._unreadable:
                found.append(
                    f"{len(self._unreadable)} builds have a status of another form, and are left out: use "
                    "the version of kubectl-strake that belongs to the cluster's operator."
                )
            if self._trouble:
                found.append(f"What is shown may be old: {self._trouble}.")
        return found

    def _first_list(self) -> str:
        try:
            return self._list()
        except ForbiddenError:
            if not self.everywhere:
                raise
            self.everywhere = False
            return self._list()

    def _list(self) -> str:
        builds: dict[Key, Build] = {}
        unreadable: set[Key] = set()
        page = self._cluster.page(everywhere=self.everywhere, limit=_PAGE)
        while True:
            for document in page.documents:
                _keep(document, builds, unreadable)
            if not page.proceed or len(builds) >= MOST:
                break
            page = self._cluster.page(everywhere=self.everywhere, limit=_PAGE, proceed=page.proceed)
        with self._lock:
            self._version += 1
            self._is_full = bool(page.proceed) or len(builds) > MOST
            self._builds = dict(list(builds.items())[:MOST])
            self._unreadable = unreadable
            self._versions = dict.fromkeys(self._builds, self._version)
        return page.version

    def _watch(self) -> None:
        while not self._closed.is_set():
            try:
                if not self._resource_version:
                    self._resource_version = self._list()
                self._tell("")
                self._follow()
            except CommandError as error:
                self._tell(error.message)
                self._closed.wait(_PAUSE)
            self._resource_version = ""

    def _follow(self) -> None:
        events = self._cluster.events(self._resource_version, _WATCH, everywhere=self.everywhere)
        for kind, document in events:
            key = _key(document)
            with self._lock:
                self._version += 1
                self._versions[key] = self._version
                if kind == "DELETED":
                    self._builds.pop(key, None)
                    self._versions.pop(key, None)
                    self._unreadable.discard(key)
                elif key in self._builds or len(self._builds) < MOST:
                    _keep(document, self._builds, self._unreadable)
                else:
                    self._is_full = True
                    self._versions.pop(key, None)

    def _tell(self, trouble: str) -> None:
        with self._lock:
            if trouble != self._trouble:
                self._trouble = trouble
                self._version += 1


def _keep(document: Mapping[str, Any], builds: dict[Key, Build], unreadable: set[Key]) -> None:
    key = _key(document)
    try:
        builds[key] = build_of(_pruned(document))
        unreadable.discard(key)
    except CommandError:
        builds.pop(key, None)
        unreadable.add(key)


def _key(document: Mapping[str, Any]) -> Key:
    metadata = document["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def _pruned(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what lists show of a build."""
    metadata, status = document["metadata"], document.get("status") or {}
    asked = metadata.get("annotations") or {}
    conditions = [
        {**each, "message": str(each.get("message", ""))[:_LONGEST]}
        for each in status.get("conditions") or ()
        if each.get("type") in {"Ready", "Finished"}
    ]
    return {
        "metadata": {
            **{name: metadata[name] for name in _METADATA if name in metadata},
            "annotations": {name: asked[name] for name in (RERUN, CANCEL) if name in asked},
        },
        "status": {
            **{name: status[name] for name in _STATUS if name in status},
            "conditions": conditions,
        },
    }


def _newest(build: Build) -> str:
    return build.status.start_time or str(build.document["metadata"].get("creationTimestamp", ""))
