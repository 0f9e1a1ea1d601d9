"""The Job whose pod builds: isolation by a user namespace, no token, nothing more than it needs.

The pod's root is an unprivileged user of the node (`hostUsers: false`), so that SYS_ADMIN, which
overlay mounts need, ends at the pod's own namespaces. Kubernetes refuses such a pod where the node
cannot do it, instead of running it with less isolation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strake_api.values.duration import parse_duration
from strake_operator.manifests import request as paths
from strake_operator.manifests.access import certificate_volumes, proxy_environment
from strake_operator.manifests.identity import identity_labels, pod_identity
from strake_operator.manifests.placement import placement
from strake_operator.names import BUILD_ANNOTATION, CONTAINER
from strake_operator.settings import DEADLINE_MARGIN_SECONDS, MAX_UNPACKED_VARIABLE

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest, RunIdentity
    from strake_operator.settings import Settings

# The set that Docker gives to a container, which RUN steps expect. All of it holds in the pod's user
# namespace only.
STEP_CAPABILITIES = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
# SYS_ADMIN mounts overlays and the file systems of a step; NET_ADMIN brings up the loopback of
# `RUN --network=none`. Steps get neither.
BUILDER_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN")


def builder_job(run: RunIdentity, spec: ImageBuildSpec, settings: Settings) -> Manifest:
    """Return the Job of a run."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": run.metadata(),
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": parse_duration(spec.timeout) + DEADLINE_MARGIN_SECONDS,
            "template": {
                "metadata": {
                    "labels": {**run.labels(), **identity_labels(spec)},
                    "annotations": {
                        BUILD_ANNOTATION: run.build,
                        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                    },
                },
                "spec": _pod(run, spec, settings),
            },
        },
    }


def _pod(run: RunIdentity, spec: ImageBuildSpec, settings: Settings) -> Manifest:
    volumes, mounts = _volumes(run, spec)
    certificates, certificate_mounts = certificate_volumes(settings.registries, spec.output.destinations)
    return {
        "restartPolicy": "Never",
        "hostUsers": False,
        **pod_identity(spec),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 20,
        **placement(spec, settings),
        "securityContext": {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": CONTAINER,
                "image": settings.builder_image,
                "command": ["strake", "execute"],
                "args": [
                    f"--request={paths.REQUEST_DIRECTORY}/{paths.REQUEST_FILE}",
                    "--result=/dev/termination-log",
                    "--log-format=pod",
                ],
                "securityContext": {
                    "privileged": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {
                        "drop": ["ALL"],
                        "add": sorted(STEP_CAPABILITIES + BUILDER_CAPABILITIES),
                    },
                },
                "resources": _resources(spec, settings),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "env": proxy_environment(settings.registries.proxy) + _limits(settings),
                "volumeMounts": mounts + certificate_mounts,
            }
        ],
        "volumes": volumes + certificates,
    }


def _limits(settings: Settings) -> list[Manifest]:
    """Return the variables that bound what a build may take; the builder has defaults for those not set."""
    size = settings.max_unpacked_size
    return [] if size is None else [{"name": MAX_UNPACKED_VARIABLE, "value": size}]


def _resources(spec: ImageBuildSpec, settings: Settings) -> Manifest:
    asked: dict[str, Any] = spec.resources.to_dict() if spec.resources else {}
    asked = {kind: {name: str(amount) for name, amount in each.items()} for kind, each in asked.items()}
    limits = asked.get("limits", {})
    defaults = {"cpu": settings.default_cpu_request, "memory": settings.default_memory_request}
    # A limit without a request is a request of the same size: Kubernetes' own rule.
    requests = {name: amount for name, amount in defaults.items() if name not in limits}
    return {"requests": {**requests, **asked.get("requests", {})}, **({"limits": limits} if limits else {})}


def _volumes(run: RunIdentity, spec: ImageBuildSpec) -> tuple[list[Manifest], list[Manifest]]:
    volumes: list[Manifest] = [
        {"name": "request", "configMap": {"name": run.job}},
        {"name": "work", "emptyDir": {}},
        {"name": "run", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[Manifest] = [
        {"name": "request", "mountPath": paths.REQUEST_DIRECTORY, "readOnly": True},
        {"name": "work", "mountPath": paths.WORK_DIRECTORY},
        {"name": "run", "mountPath": "/run"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
    ]
    for name, secret, directory in (
        ("push", spec.push_secret, paths.PUSH_DIRECTORY),
        ("pull", spec.pull_secret, paths.PULL_DIRECTORY),
    ):
        if secret is not None:
            item = {"key": ".dockerconfigjson", "path": paths.DOCKER_CONFIG_FILE}
            volumes.append({"name": name, "secret": {"secretName": secret.name, "items": [item]}})
            mounts.append({"name": name, "mountPath": directory, "readOnly": True})
    if spec.source.git is not None and spec.source.git.secret is not None:
        volumes.append({"name": "git", "secret": {"secretName": spec.source.git.secret.name}})
        mounts.append({"name": "git", "mountPath": paths.GIT_DIRECTORY, "readOnly": True})
    if spec.source.config_map is not None:
        volumes.append({"name": "context", "configMap": {"name": spec.source.config_map.name}})
        # A ConfigMap's files are links into `..data`; mounting that shows plain files, as they were when
        # the pod started.
        mounts.append(
            {"name": "context", "mountPath": paths.CONTEXT_DIRECTORY, "subPath": "..data", "readOnly": True}
        )
    return volumes, mounts
