"""ImageBuilds and the pods of their runs, as an API server has them.

Cluster ─▶ Transport (connection.py has kubectl's way; tests have their own)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

from strake_api.models.document import API_VERSION, GROUP, VERSION
from strake_kubectl.answers import refusal
from strake_kubectl.builds import Build, build_of
from strake_kubectl.errors import CommandError

MANAGER: Final = "kubectl-strake"
"""The field manager: `status.run.requestedBy` shows it for a rerun."""
BUILDER: Final = "builder"
"""The container whose log is the build's."""
UID_LABEL: Final = "strake.dev/uid"
RUN_LABEL: Final = "strake.dev/run"
PART_LABEL: Final = "strake.dev/part"
_MERGE: Final = "application/merge-patch+json"
_PIECE: Final = 64 * 1024


class Answer(Protocol):
    """An answer of the API server."""

    status: int

    def read(self) -> bytes:
        """Return what is left of the body."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes."""
        ...


class Transport(Protocol):
    """Sends requests with the caller's credentials."""

    def send(
        self, method: str, path: str, query: Mapping[str, str], body: object, content_type: str
    ) -> AbstractContextManager[Answer]:
        """Send one, and return the answer, whose body is read in the context.

        Raises:
            CommandError: No answer came.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a run.

    Attributes:
        name: Its name.
        part: The part of a run for several platforms that it carries out; empty where a run has no parts.
        has_log: Whether the builder runs, or has run.
        is_running: Whether it runs, so that its log goes on.
        created: When it was made, RFC 3339.
    """

    name: str
    part: str
    has_log: bool
    is_running: bool
    created: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the builds.

    Attributes:
        documents: A build each.
        version: The resourceVersion that they were read at.
        proceed: Asks for the next page; empty after the last.
    """

    documents: tuple[Mapping[str, Any], ...]
    version: str
    proceed: str


class Cluster:
    """The cluster, with the rights of the caller.

    Args:
        transport: Sends requests.
        namespace: Of what is named without one.
    """

    def __init__(self, transport: Transport, namespace: str) -> None:
        self._transport = transport
        self.namespace = namespace

    def all(self, *, everywhere: bool = False, selector: str = "") -> list[Build]:
        """Return the builds of the namespace, or of all namespaces, by name."""
        query = {"labelSelector": selector} if selector else {}
        found = self._ask("GET", self._path(everywhere=everywhere), "list ImageBuilds", query)
        return [build_of({**_TYPE, **each}) for each in found.get("items", [])]

    def within(self, namespace: str) -> Cluster:
        """Return the same cluster, with another namespace for what is named without one."""
        return Cluster(self._transport, namespace)

    def page(self, *, everywhere: bool, limit: int, proceed: str = "") -> Page:
        """Return some of the builds of the namespace, or of all, and what asks for more.

        Args:
            everywhere: Whether those of all namespaces.
            limit: The most to return; an API server may return more.
            proceed: Of the page before.

        Raises:
            ForbiddenError: The caller may not list them.
            CommandError: They cannot be read.
        """
        query = {"limit": str(limit)} | ({"continue": proceed} if proceed else {})
        found = self._ask("GET", self._path(everywhere=everywhere), "list ImageBuilds", query)
        metadata = found.get("metadata") or {}
        return Page(
            documents=tuple({**_TYPE, **each} for each in found.get("items", [])),
            version=str(metadata.get("resourceVersion", "")),
            proceed=str(metadata.get("continue") or ""),
        )

    def events(
        self, version: str, seconds: int, *, everywhere: bool
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield changes of the namespace's builds, or of all, as (event type, document), for as long at most.

        It ends early where the version is too old to watch from: the caller lists them again.

        Raises:
            CommandError: The cluster refuses.
        """
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        doing = "watch ImageBuilds"
        for line in self._lines(self._path(everywhere=everywhere), query, doing):
            event = _object(line, doing)
            if event.get("type") not in {"ADDED", "MODIFIED", "DELETED"}:
                return
            yield event["type"], event["object"]

    def get(self, name: str) -> Build:
        """Return a build.

        Raises:
            NotFoundError: There is none of the name.
            CommandError: It cannot be read.
        """
        return build_of(self._ask("GET", self._path(name), f"get ImageBuild {name}"))

    def create(self, manifest: Mapping[str, Any], *, try_only: bool = False) -> Build:
        """Make a build of a manifest; or have the cluster say whether it would.

        Raises:
            ExistsError: There is one of the name.
            CommandError: The cluster refuses it.
        """
        name = manifest["metadata"]["name"]
        doing = f"create ImageBuild {name}"
        query = {"fieldManager": MANAGER} | ({"dryRun": "All"} if try_only else {})
        return build_of(self._ask("POST", self._path(), doing, query, manifest))

    def change(self, name: str, change: Mapping[str, Any]) -> Build:
        """Apply a merge patch (RFC 7396) to a build.

        Raises:
            CommandError: It is not there, or the cluster refuses the change.
        """
        query, doing = {"fieldManager": MANAGER}, f"change ImageBuild {name}"
        return build_of(self._ask("PATCH", self._path(name), doing, query, change, _MERGE))

    def ask(self, name: str, annotation: str) -> Build:
        """Give an annotation a value that it never had: the operator acts on each new one.

        Raises:
            CommandError: The build is not there, or the cluster refuses the change.
        """
        value = datetime.now(UTC).isoformat(timespec="microseconds")
        return self.change(name, {"metadata": {"annotations": {annotation: value}}})

    def changes(self, build: Build, seconds: int) -> Iterator[Build]:
        """Yield a build each time that it changes, for as long at most.

        Raises:
            NotFoundError: It was deleted.
            CommandError: The cluster refuses.
        """
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={build.name}",
            "resourceVersion": build.version,
            "timeoutSeconds": str(max(1, seconds)),
        }
        doing = f"watch ImageBuild {build.name}"
        for line in self._lines(self._path(), query, doing):
            event = _object(line, doing)
            if event.get("type") == "DELETED":
                raise CommandError(f"the ImageBuild {build.name} was deleted")
            if event.get("type") != "MODIFIED" and event.get("type") != "ADDED":
                return  # too old a version to watch from, as a rule: the caller reads it anew
            yield build_of(event["object"])

    def pods(self, build: Build, run: int) -> list[Pod]:
        """Return the pods of a run that are still there, the oldest first."""
        query = {"labelSelector": f"{UID_LABEL}={build.uid},{RUN_LABEL}={run}"}
        found = self._ask("GET", self._core("pods"), f"list the pods of {build.name}", query)
        return sorted(map(_pod, found.get("items", [])), key=lambda each: (each.created, each.name))

    def log(self, pod: str, *, follow: bool) -> Iterator[bytes]:
        """Yield the log of a pod's builder as it comes."""
        query = {"container": BUILDER, "follow": "true" if follow else "false"}
        with self._transport.send("GET", self._core(f"pods/{pod}/log"), query, None, "") as answer:
            if answer.status >= 400:  # noqa: PLR2004 - where errors begin
                raise refusal(answer.status, answer.read(), f"read the log of pod {pod}")
            yield from answer.pieces()

    def _lines(self, path: str, query: Mapping[str, str], doing: str) -> Iterator[bytes]:
        left = b""
        with self._transport.send("GET", path, query, None, "") as answer:
            if answer.status >= 400:  # noqa: PLR2004 - where errors begin
                raise refusal(answer.status, answer.read(), doing)
            for piece in answer.pieces():
                *lines, left = (left + piece).split(b"\n")
                yield from filter(None, lines)

    def _ask(
        self,
        method: str,
        path: str,
        doing: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        with self._transport.send(method, path, query or {}, body, content_type) as answer:
            content = answer.read()
        if answer.status >= 400:  # noqa: PLR2004 - where errors begin
            raise refusal(answer.status, content, doing)
        return _object(content, doing)

    def _path(self, name: str = "", *, everywhere: bool = False) -> str:
        if everywhere:
            return f"/apis/{GROUP}/{VERSION}/imagebuilds"
        tail = f"/{quote(name, safe='')}" if name else ""
        return f"/apis/{GROUP}/{VERSION}/namespaces/{quote(self.namespace, safe='')}/imagebuilds{tail}"

    def _core(self, tail: str) -> str:
        return f"/api/v1/namespaces/{quote(self.namespace, safe='')}/{tail}"


_TYPE: Final = {"apiVersion": API_VERSION, "kind": "ImageBuild"}
"""What the items of a list do not tell."""


def _object(content: bytes, doing: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"cannot {doing}: the answer is no JSON",
            hint="a proxy may answer in place of the API server: see `kubectl cluster-info`",
        ) from error
    if not isinstance(found, dict):
        raise CommandError(f"cannot {doing}: the API server's answer is no object")
    return found


def _pod(found: Mapping[str, Any]) -> Pod:
    metadata, status = found["metadata"], found.get("status", {})
    states = [
        each.get("state", {}) for each in status.get("containerStatuses", []) if each.get("name") == BUILDER
    ]
    running = any("running" in each for each in states)
    return Pod(
        name=metadata["name"],
        part=metadata.get("labels", {}).get(PART_LABEL, ""),
        has_log=running or any("terminated" in each for each in states),
        is_running=running,
        created=metadata.get("creationTimestamp") or "",
    )
