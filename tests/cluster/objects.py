"""Objects of the test cluster over HTTP, by kubectl's words: its start takes longer than the API server's answer."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.cluster.discovery import DOCUMENT, PATHS, Resource, resources
from tests.cluster.settings import KUBECONFIG

MANAGER = "kubectl"
_words = argparse.ArgumentParser(prog="get", exit_on_error=False)
_words.add_argument("kind")
_words.add_argument("name", nargs="?", default="")
_words.add_argument("-n", dest="namespace", default="default")
_words.add_argument("-l", dest="labels", default="")


class ObjectError(Exception):
    """The API server refused something about an object; the message is its answer."""


def get(*arguments: str) -> Any:
    """Return what `kubectl get … -o json` shows: `get("pods", "-n", "team", "-l", "app=web")`.

    Raises:
        ObjectError: There is no such object.
    """
    asked = _words.parse_args(arguments)
    return read(asked.kind, asked.namespace, asked.name, labels=asked.labels)


def read(kind: str, namespace: str, name: str = "", *, labels: str = "") -> Any:
    """Return an object, or a list of objects.

    Args:
        kind: As kubectl has it: plural, singular or short.
        namespace: Where it is.
        name: Of one object; without it, the list of all.
        labels: A selector, for the list.

    Raises:
        ObjectError: There is no such object.
    """
    path = _named(kind).path(namespace, name)
    return _answer("GET", path, params={"labelSelector": labels} if labels else None)


def apply(manifest: Any, namespace: str = "default") -> None:
    """Apply an object or several, as `kubectl apply --server-side --force-conflicts` does.

    Raises:
        ObjectError: The API server refused one.
    """
    for each in manifest if isinstance(manifest, list) else [manifest]:
        metadata = each["metadata"]
        _answer(
            "PATCH",
            _of(each).path(metadata.get("namespace", namespace), metadata["name"]),
            params={"fieldManager": MANAGER, "force": "true", "fieldValidation": "Strict"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(each),
        )


def delete(kind: str, name: str, namespace: str = "default") -> None:
    """Have an object deleted, without waiting until it is gone.

    Raises:
        ObjectError: There is none, or it may not be deleted.
    """
    path = _named(kind).path(namespace, name)
    _answer("DELETE", path, params={"propagationPolicy": "Background"})


def refusal_of(kind: str, namespace: str, manifest: dict[str, Any]) -> str:
    """Return the API server's words where it would refuse what `kubectl create` sends; else "". Nothing is created.

    Args:
        kind: As kubectl has it.
        namespace: Where it would be.
        manifest: The object.
    """
    path = _named(kind).path(namespace)
    answer = _client(KUBECONFIG.read_text()).post(
        path, params={"dryRun": "All", "fieldValidation": "Strict"}, json=manifest
    )
    return str(answer.json()["message"]) if answer.is_error else ""


def authenticated(token: str, audience: str) -> str:
    """Return whose a token for an audience is; "" where it is nobody's."""
    spec = {"token": token, "audiences": [audience]}
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    found = _answer("POST", _of(review).path(""), json=review)["status"]
    return str(found["user"]["username"]) if found.get("authenticated") else ""


def forget_connections() -> None:
    """Connect anew for the next request: the API server that was connected to has ended."""
    _client(KUBECONFIG.read_text()).close()
    _client.cache_clear()
    _discovered.cache_clear()


def _answer(method: str, path: str, **arguments: Any) -> Any:
    try:
        answer = _client(KUBECONFIG.read_text()).request(method, path, **arguments)
    except httpx.TransportError as error:
        raise ObjectError(f"{method} {path}: {error}") from error
    if answer.is_error:
        raise ObjectError(f"{method} {path}: {_words_of(answer)}")
    return answer.json()


def _words_of(answer: httpx.Response) -> str:
    """Return what the API server tells of a refusal; of what stands before it, all."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text


def _of(manifest: dict[str, Any]) -> Resource:
    wanted = manifest["apiVersion"], manifest["kind"]
    return _find(lambda each: (each.api_version, each.kind) == wanted, " ".join(wanted))


def _named(kind: str) -> Resource:
    return _find(lambda each: kind in each.names, kind)


def _find(matches: Callable[[Resource], bool], what: str) -> Resource:
    """Return a resource; one that is new (of a CRD) is found, too.

    Raises:
        ObjectError: The API server has none of that kind.
    """
    for again in (False, True):
        if again:
            _discovered.cache_clear()
        if (found := next(filter(matches, _discovered(KUBECONFIG.read_text())), None)) is not None:
            return found
    raise ObjectError(f"the API server has no resource {what}")


@functools.cache
def _discovered(kubeconfig: str) -> list[Resource]:
    answers = [_client(kubeconfig).get(path, headers={"Accept": DOCUMENT}) for path in PATHS]
    return resources(answer.raise_for_status().json() for answer in answers)


@functools.cache
def _client(kubeconfig: str) -> httpx.Client:
    """Return a client that keeps its connection: making one takes longer than the answer.

    Nobody vouches for the server's certificate, which it made itself when it started.
    """
    found = json.loads(kubeconfig)
    headers = {"Authorization": f"Bearer {found['users'][0]['user']['token']}"}
    server = found["clusters"][0]["cluster"]["server"]
    return httpx.Client(base_url=server, headers=headers, verify=False, timeout=30, trust_env=False)
