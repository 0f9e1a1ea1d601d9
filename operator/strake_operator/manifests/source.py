"""The container that fetches the source of a private repository: it alone has the build's git Secret.

It ends before the builder starts, and leaves the commit in a directory that the builder cannot write to. A
public repository needs no Secret, and the builder fetches it itself, which spares a start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_operator.manifests import paths
from strake_operator.manifests.access import proxy_environment
from strake_operator.manifests.pod.resources import container_resources, empty_directory
from strake_operator.names import SOURCE_CONTAINER

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest
    from strake_operator.settings import Settings

_VOLUME: Final = "source"


def fetched_directory(spec: ImageBuildSpec) -> str | None:
    """Return where the source is put for the builder; None where the builder fetches it."""
    git = spec.source.git
    return paths.SOURCE_DIRECTORY if git is not None and git.secret is not None else None


def source_containers(spec: ImageBuildSpec, settings: Settings, arguments: list[str]) -> list[Manifest]:
    """Return the init container, none where the builder fetches the source.

    Args:
        spec: What to build.
        settings: The platform's settings.
        arguments: Those that name the request.
    """
    if fetched_directory(spec) is None:
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
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "resources": container_resources(spec, settings.resources),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "env": proxy_environment(settings.registries.proxy),
            "volumeMounts": [
                {"name": "request", "mountPath": paths.REQUEST_DIRECTORY, "readOnly": True},
                {"name": "git", "mountPath": paths.GIT_DIRECTORY, "readOnly": True},
                {"name": _VOLUME, "mountPath": paths.SOURCE_DIRECTORY},
            ],
        }
    ]


def source_volumes(spec: ImageBuildSpec, settings: Settings) -> tuple[list[Manifest], list[Manifest]]:
    """Return the volumes of a source that is fetched apart, and the builder's mounts of them."""
    git = spec.source.git
    if git is None or git.secret is None:
        return [], []
    room = empty_directory(container_resources(spec, settings.resources))
    volumes = [
        {"name": "git", "secret": {"secretName": git.secret.name}},
        {"name": _VOLUME, "emptyDir": room},
    ]
    return volumes, [{"name": _VOLUME, "mountPath": paths.SOURCE_DIRECTORY, "readOnly": True}]
