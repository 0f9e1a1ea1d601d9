"""The Job whose pod builds: no added capability, no token, nothing more than it needs.

How the pod is kept apart from its node is in `isolation`, by the form that the run has; what it may take of
the node in `resources`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.values.duration import parse_duration
from strake_operator.manifests import paths
from strake_operator.manifests.access import proxy_environment
from strake_operator.manifests.bases import base_image_volumes, pull_secrets
from strake_operator.manifests.gateway import (
    builder_arguments,
    gateway_annotations,
    gateway_containers,
    gateway_volumes,
    needs_gateway,
    socket_mount,
)
from strake_operator.manifests.given import given_volumes
from strake_operator.manifests.parts import spec_of_part
from strake_operator.manifests.pod.identity import identity_labels, pod_identity
from strake_operator.manifests.pod.isolation import container_isolation, pod_isolation
from strake_operator.manifests.pod.placement import name_resolution, placement
from strake_operator.manifests.pod.resources import container_resources, empty_directory
from strake_operator.manifests.pod.workspace import workspace_volume
from strake_operator.manifests.request import request_digest, request_of_run
from strake_operator.manifests.source import source_containers, source_volumes
from strake_operator.names import BUILD_ANNOTATION, CONTAINER, QUEUE_LABEL, REQUEST_ANNOTATION
from strake_operator.settings.environment import DEADLINE_MARGIN_SECONDS, MAX_UNPACKED_VARIABLE

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest, RunIdentity
    from strake_operator.settings.environment import Settings


# Volumes, and where the builder writes on a root that is read-only: its TMPDIR, and where libraries look.
_WORK = "work"
_SCRATCH = (
    (_WORK, paths.WORK_DIRECTORY),
    ("run", "/run"),
    ("tmp", "/tmp", paths.TEMPORARY_DIRECTORY),  # noqa: S108 - the pod's own
)


def builder_job(
    run: RunIdentity,
    spec: ImageBuildSpec,
    settings: Settings,
    *,
    request_uid: str | None = None,
) -> Manifest:
    """Return the Job of a run.

    Args:
        run: Which run of which build.
        spec: What to build.
        settings: The platform's settings.
        request_uid: The UID of the ConfigMap with the request, where it is known.
    """
    request = request_digest(request_of_run(run, spec, settings))
    spec = spec_of_part(spec, run.part)
    metadata, asked = run.metadata(), spec.pod.to_dict() if spec.pod is not None else {}
    if run.queue is not None:
        metadata["labels"][QUEUE_LABEL] = run.queue
    if request_uid is not None:
        metadata["annotations"][REQUEST_ANNOTATION] = request_uid
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": parse_duration(spec.timeout) + DEADLINE_MARGIN_SECONDS,
            "template": {
                "metadata": {
                    "labels": {**asked.get("labels", {}), **run.labels(), **identity_labels(spec)},
                    "annotations": {
                        **asked.get("annotations", {}),
                        BUILD_ANNOTATION: run.build,
                        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                        "kubectl.kubernetes.io/default-container": CONTAINER,
                        **gateway_annotations(spec),
                    },
                },
                "spec": _pod(run, spec, settings, request),
            },
        },
    }


def _pod(run: RunIdentity, spec: ImageBuildSpec, settings: Settings, digest: str) -> Manifest:
    # Somebody else may have made the ConfigMap, or make it anew: the builder takes this request and no other.
    resources = container_resources(spec, settings.resources)
    volumes, mounts = _volumes(run, spec, resources)
    bases, base_mounts = base_image_volumes(run)
    source, source_mounts = source_volumes(spec, settings)
    given, given_mounts = given_volumes(spec)
    request = [f"--request={paths.REQUEST_DIRECTORY}/{paths.REQUEST_FILE}", f"--request-digest={digest}"]
    if needs_gateway(spec, settings):
        mounts.append(socket_mount())
    return {
        "restartPolicy": "Never",
        **pod_isolation(run.form, spec, settings),
        **pod_identity(spec),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 20,
        **placement(spec, settings, run.part),
        **name_resolution(spec),
        **pull_secrets(run, spec, settings),
        "initContainers": [
            *source_containers(spec, settings, request),
            *gateway_containers(spec, settings, request),
        ],
        "containers": [
            {
                "name": CONTAINER,
                "image": settings.builder_image,
                # The program is the image's entrypoint.
                "args": [
                    "execute",
                    f"--isolation={run.form.kind}",
                    *request,
                    f"--result={paths.TERMINATION_MESSAGE}",
                    "--log-format=pod",
                    *builder_arguments(settings),
                ],
                "securityContext": container_isolation(run.form),
                "resources": resources,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "env": proxy_environment(settings.registries.proxy) + _limits(settings),
                "volumeMounts": [*mounts, *base_mounts, *source_mounts, *given_mounts],
            }
        ],
        "volumes": [*volumes, *bases, *source, *given, *gateway_volumes(spec, settings)],
    }


def _limits(settings: Settings) -> list[Manifest]:
    """Return the variables that bound what a build may take; the builder has defaults for those not set."""
    size = settings.max_unpacked_size
    return [] if size is None else [{"name": MAX_UNPACKED_VARIABLE, "value": size}]


def _volumes(
    run: RunIdentity, spec: ImageBuildSpec, resources: Manifest
) -> tuple[list[Manifest], list[Manifest]]:
    volumes: list[Manifest] = [{"name": "request", "configMap": {"name": run.job}}]
    mounts: list[Manifest] = [{"name": "request", "mountPath": paths.REQUEST_DIRECTORY, "readOnly": True}]
    if run.form.kind == "nested":
        # In a chroot the container's own root takes all of it: a volume would be in a base image's way.
        for name, *places in _SCRATCH:
            is_work = name == _WORK
            volume = (
                workspace_volume(spec, resources) if is_work else {"emptyDir": empty_directory(resources)}
            )
            volumes.append({"name": name, **volume})
            mounts += [{"name": name, "mountPath": path} for path in places]
    if spec.source.config_map is not None:
        volumes.append({"name": "context", "configMap": {"name": spec.source.config_map.name}})
        # A ConfigMap's files are links into `..data`; mounting that shows plain files, as they were when
        # the pod started.
        mounts.append(
            {"name": "context", "mountPath": paths.CONTEXT_DIRECTORY, "subPath": "..data", "readOnly": True}
        )
    return volumes, mounts
