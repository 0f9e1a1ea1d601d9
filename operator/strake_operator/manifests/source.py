"""The container that fetches what lies in private repositories and buckets: it alone has their Secrets.

It ends before the builder starts, and leaves commits and archives in a directory that the builder cannot
write to. It has the identity of a ServiceAccount that the spec names, too, which opens buckets. What is
public the builder fetches itself, which spares a start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.conversion import context_secret, fetches_apart
from strake_operator.manifests import paths
from strake_operator.manifests.access import proxy_environment
from strake_operator.manifests.pod.resources import container_resources, empty_directory
from strake_operator.names import SOURCE_CONTAINER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest
    from strake_operator.settings.environment import Settings

_VOLUME: Final = "source"
_GIT: Final = "git"
_BUCKET: Final = "bucket"


def _secrets(spec: ImageBuildSpec) -> Iterator[tuple[str, str, str]]:
    """Yield the name of a volume, of the Secret in it, and where it is mounted, for each source with one."""
    git = spec.source.git
    if git is not None and git.secret is not None:
        yield _GIT, git.secret.name, paths.GIT_DIRECTORY
    found = spec.source.in_bucket
    if found is not None and found.secret is not None:
        yield _BUCKET, found.secret.name, paths.BUCKET_DIRECTORY
    for number, context in enumerate(spec.contexts):
        if context.git is not None and context.git.secret is not None:
            name, path = f"{_GIT}-{number}", context_secret(paths.GIT_DIRECTORY, number)
            yield name, context.git.secret.name, path
        found = context.in_bucket
        if found is not None and found.secret is not None:
            name, path = f"{_BUCKET}-{number}", context_secret(paths.BUCKET_DIRECTORY, number)
            yield name, found.secret.name, path


def _fetches(spec: ImageBuildSpec) -> bool:
    """Return whether there is something to fetch apart, with a Secret or with the pod's identity."""
    objects = [spec.source.in_bucket, *(context.in_bucket for context in spec.contexts)]
    return any(_secrets(spec)) or any(fetches_apart(spec, each) for each in objects if each is not None)


def _uses_ssh(spec: ImageBuildSpec) -> bool:
    repositories = (spec.source.git, *(context.git for context in spec.contexts))
    return any(git is not None and git.is_ssh for git in repositories)


def source_containers(spec: ImageBuildSpec, settings: Settings, arguments: list[str]) -> list[Manifest]:
    """Return the init container, none where the builder fetches the source.

    Args:
        spec: What to build.
        settings: The platform's settings.
        arguments: Those that name the request.
    """
    secrets = [{"name": name, "mountPath": path, "readOnly": True} for name, _, path in _secrets(spec)]
    if not _fetches(spec):
        return []
    return [
        {
            "name": SOURCE_CONTAINER,
            "image": settings.builder_image,
            "args": ["fetch", *arguments, "--result=/dev/termination-log"],
            "securityContext": {
                # A context's files are root's, as git of a builder would make them.
                "runAsUser": 0,
                "runAsGroup": 0,
                "allowPrivilegeEscalation": False,
                # For ssh it writes down who it is.
                "readOnlyRootFilesystem": not _uses_ssh(spec),
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "resources": container_resources(spec, settings.resources),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "env": proxy_environment(settings.registries.proxy),
            "volumeMounts": [
                {"name": "request", "mountPath": paths.REQUEST_DIRECTORY, "readOnly": True},
                *secrets,
                {"name": _VOLUME, "mountPath": paths.SOURCE_DIRECTORY},
            ],
        }
    ]


def source_volumes(spec: ImageBuildSpec, settings: Settings) -> tuple[list[Manifest], list[Manifest]]:
    """Return the volumes of a source that is fetched apart, and the builder's mounts of them."""
    secrets = [
        {"name": name, "secret": {"secretName": secret, "defaultMode": 0o400}}
        for name, secret, _ in _secrets(spec)
    ]
    if not _fetches(spec):
        return [], []
    room = empty_directory(container_resources(spec, settings.resources))
    volumes = [*secrets, {"name": _VOLUME, "emptyDir": room}]
    return volumes, [{"name": _VOLUME, "mountPath": paths.SOURCE_DIRECTORY, "readOnly": True}]
