"""Finds command lines of kaniko's executor: in Kubernetes objects with pods, and in GitLab's jobs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from strake_kubectl.errors import CommandError
from strake_kubectl.making.files import documents

_EXECUTORS: Final = ("/kaniko/executor", "executor")
_SECRETS: Final = "/kaniko/.docker"
_DEPTH: Final = 12
"""Of objects in objects: a CronJob's pod is six deep."""


@dataclass(frozen=True, slots=True)
class Executor:
    """A command line of kaniko's, and what its pod gives it.

    Attributes:
        name: Of the object or the job.
        words: What follows the program.
        fields: What the spec of an ImageBuild has of the pod.
        notes: What is worth a look.
    """

    name: str
    words: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def chosen_executor(path: str, job: str | None) -> Executor:
    """Return the command line in a file.

    Args:
        path: Of the file; "-" is standard input.
        job: The name of an object or a job; None where the file has one command line.

    Raises:
        CommandError: There is none, or there are several.
    """
    found = [each for document in documents(path) for each in executors(document)]
    named = [each for each in found if job is None or each.name == job]
    names = ", ".join(dict.fromkeys(each.name or "(nameless)" for each in found))
    if not named:
        hint = f"it has {names}" if names else "containers and scripts that run /kaniko/executor count"
        raise CommandError(f"{path} has no command of kaniko's", hint=hint, exit_status=2)
    if len(named) > 1:
        raise CommandError(f"{path} has several: {names}", hint="choose one with --job", exit_status=2)
    return named[0]


def executors(document: object, name: str = "", depth: int = 0) -> Iterator[Executor]:
    """Yield the command lines in a document of YAML.

    Args:
        document: An object of Kubernetes, or a `.gitlab-ci.yml`.
        name: Of what the document is a part of.
        depth: How deep it is in another one.
    """
    if depth > _DEPTH or not isinstance(document, Mapping):
        return
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("name"):
        name = str(metadata["name"])
    containers = document.get("containers")
    if isinstance(containers, Sequence) and not isinstance(containers, str):
        yield from _of_pod(document, containers, name)
    for key, value in document.items():
        if key == "script":
            yield from _of_script(value, name)
        elif isinstance(value, Mapping):
            is_part = "metadata" in document or key in _PARTS
            yield from executors(value, name if is_part else str(key), depth + 1)


_PARTS: Final = frozenset({"spec", "template", "jobTemplate", "metadata"})
"""Fields of objects, which are no names of jobs."""


def _of_pod(pod: Mapping[str, Any], containers: Sequence[Any], name: str) -> Iterator[Executor]:
    for container in containers:
        if not isinstance(container, Mapping):
            continue
        command = [str(each) for each in container.get("command") or ()]
        arguments = [str(each) for each in container.get("args") or ()]
        image = str(container.get("image", ""))
        if command and command[0] in _EXECUTORS:
            words = [*command[1:], *arguments]
        elif not command and "kaniko" in image and "warmer" not in image:
            words = arguments
        else:
            continue
        fields, notes = _given(pod, container)
        yield Executor(name, tuple(words), fields, notes)


def _given(pod: Mapping[str, Any], container: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what an ImageBuild has fields for, and what it has not."""
    fields: dict[str, Any] = {}
    if account := pod.get("serviceAccountName"):
        fields["serviceAccountName"] = account
    if resources := container.get("resources"):
        fields["resources"] = resources
    placed = {name: pod[name] for name in ("nodeSelector", "tolerations", "affinity") if pod.get(name)}
    if placed:
        fields["pod"] = placed
    notes = []
    secret = _docker_secret(pod, container)
    if secret is not None:
        fields["pushSecret"] = {"name": secret}
        notes.append(f"the Secret {secret} must be of type kubernetes.io/dockerconfigjson")
    if container.get("env"):
        notes.append("the container's environment is not taken over; steps get build arguments and secrets")
    if pod.get("initContainers"):
        notes.append("init containers are not taken over: name the source with --git, --http or --oci")
    return fields, tuple(notes)


def _docker_secret(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str | None:
    """Return the name of the Secret that is mounted where kaniko looks for credentials."""
    mounts = [each for each in container.get("volumeMounts") or () if isinstance(each, Mapping)]
    named = {each.get("name") for each in mounts if str(each.get("mountPath", "")).startswith(_SECRETS)}
    for volume in pod.get("volumes") or ():
        if not isinstance(volume, Mapping) or volume.get("name") not in named:
            continue
        if name := (volume.get("secret") or {}).get("secretName"):
            return str(name)
        for source in (volume.get("projected") or {}).get("sources") or ():
            if name := (source.get("secret") or {}).get("name"):
                return str(name)
    return None


def _of_script(script: object, name: str) -> Iterator[Executor]:
    lines = [script] if isinstance(script, str) else script if isinstance(script, list) else []
    for text in lines:
        for line in str(text).replace("\\\n", " ").splitlines():
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                continue  # no command line of one program
            if words and words[0] in _EXECUTORS:
                yield Executor(name, tuple(words[1:]))
