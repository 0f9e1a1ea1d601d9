"""The gateway of a builder's pod: the only container with credentials of registries, and a key that signs.

It is a native sidecar, of another user and without capabilities: it is there before the builder, and goes
when the builder is done. A build that has no credentials needs none.

Source: Kubernetes, "Sidecar Containers" (1.29).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.conversion import SIGNING_KEY, SIGNING_PASSWORD
from strake_api.values.signatures import VAULT_SCHEME
from strake_operator.manifests import paths
from strake_operator.manifests.access import certificate_volumes, proxy_environment
from strake_operator.names import CONTAINER, DEFAULT_PULL_VOLUME, GATEWAY
from strake_operator.settings.default_secrets import pull_secret

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.manifests.objects import Manifest
    from strake_operator.settings.environment import Settings

_USER: Final = 65532
_SOCKETS: Final = "gateway"
_TOKEN_SECONDS: Final = 3600
"""A kubelet renews it; less than an hour some API servers raise to that."""
_LOG: Final = "log"
_SKIPPED: Final = ("eks.amazonaws.com/skip-containers", "azure.workload.identity/skip-containers")
"""By these the clouds' webhooks leave out the builder. Source: the READMEs of both webhooks."""


def needs_gateway(spec: ImageBuildSpec, settings: Settings) -> bool:
    """Return whether a build has credentials that its steps must not get, or a log to push."""
    certificates, _ = certificate_volumes(settings.registries, spec.output.destinations)
    if settings.log_repository is not None:
        return True  # it pushes the log
    has_secrets = any((spec.push_secret, pull_secret(spec, settings), spec.output.sign))
    return has_secrets or spec.service_account_name is not None or bool(certificates)


def gateway_annotations(spec: ImageBuildSpec) -> dict[str, str]:
    """Return the annotations by which a cloud gives its identity to the gateway alone."""
    return {} if spec.service_account_name is None else dict.fromkeys(_SKIPPED, CONTAINER)


def gateway_containers(spec: ImageBuildSpec, settings: Settings, arguments: list[str]) -> list[Manifest]:
    """Return the sidecar, none where the build has no credentials.

    Args:
        spec: What to build.
        settings: The platform's settings.
        arguments: Those that name the request.
    """
    if not needs_gateway(spec, settings):
        return []
    _, certificate_mounts = certificate_volumes(settings.registries, spec.output.destinations)
    _, secret_mounts = _secrets(spec, settings)
    return [
        {
            "name": GATEWAY,
            "image": settings.builder_image,
            "args": ["gateway", *arguments, *_log_arguments(settings)],
            "restartPolicy": "Always",
            "securityContext": {
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "runAsNonRoot": True,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "resources": {
                "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "16Mi"},
                "limits": {"cpu": "2", "memory": "256Mi", "ephemeral-storage": "256Mi"},
            },
            "env": proxy_environment(settings.registries.proxy),
            "volumeMounts": [
                {"name": "request", "mountPath": paths.REQUEST_DIRECTORY, "readOnly": True},
                socket_mount(),
                *secret_mounts,
                *certificate_mounts,
            ],
        }
    ]


def _log_arguments(settings: Settings) -> list[str]:
    if settings.log_repository is None:
        return []
    return [f"--log-socket={paths.LOG_SOCKET}", f"--log-report={paths.TERMINATION_MESSAGE}"]


def builder_arguments(settings: Settings) -> list[str]:
    """Return what has the builder hand its log to the gateway."""
    return [] if settings.log_repository is None else [f"--log-copy={paths.LOG_SOCKET}"]


def gateway_volumes(spec: ImageBuildSpec, settings: Settings) -> list[Manifest]:
    """Return the volumes that only the gateway mounts, and the directory of its socket."""
    if not needs_gateway(spec, settings):
        return []
    certificates, _ = certificate_volumes(settings.registries, spec.output.destinations)
    secrets, _ = _secrets(spec, settings)
    return [{"name": _SOCKETS, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, *secrets, *certificates]


def socket_mount() -> Manifest:
    """Return the mount of the socket's directory."""
    return {"name": _SOCKETS, "mountPath": paths.GATEWAY_DIRECTORY}


def _secrets(spec: ImageBuildSpec, settings: Settings) -> tuple[list[Manifest], list[Manifest]]:
    volumes: list[Manifest] = []
    mounts: list[Manifest] = []
    push = None if spec.push_secret is None else spec.push_secret.name
    # The volume's name tells an event about a Secret that is missing who named it.
    pull = "pull" if spec.pull_secret is not None else DEFAULT_PULL_VOLUME
    log = settings.log_secret if settings.log_repository is not None else None
    for name, secret, directory in (
        ("push", push, paths.PUSH_DIRECTORY),
        (pull, pull_secret(spec, settings), paths.PULL_DIRECTORY),
        (_LOG, log, paths.LOG_ACCOUNT_DIRECTORY),
    ):
        if secret is not None:
            item = {"key": ".dockerconfigjson", "path": paths.DOCKER_CONFIG_FILE}
            # A log is no reason to fail a build.
            optional = {"optional": True} if name == _LOG else {}
            volumes.append({"name": name, "secret": {"secretName": secret, "items": [item], **optional}})
            mounts.append({"name": name, "mountPath": directory, "readOnly": True})
    if sources := _signing(spec, settings):
        volumes.append({"name": "signing", "projected": {"sources": sources}})
        mounts.append({"name": "signing", "mountPath": paths.SIGNING_DIRECTORY, "readOnly": True})
    return volumes, mounts


def _signing(spec: ImageBuildSpec, settings: Settings) -> list[Manifest]:
    """Return what is mounted to sign with: a key's Secret, or what Vault or Fulcio knows the pod by."""
    sign = spec.output.sign
    if sign is None:
        return []
    if sign.secret_ref is not None:
        return _key(sign.secret_ref.name)
    if sign.keyless is not None:
        return [_token("sigstore")] if settings.sigstore else []
    if settings.vault is None or not (sign.kms or "").startswith(VAULT_SCHEME):
        return []  # the clouds' webhooks bring what their services know the pod by
    return [_token("vault")]


def _token(audience: str) -> Manifest:
    """Return a token of the ServiceAccount that no other server takes."""
    asked = {"audience": audience, "expirationSeconds": _TOKEN_SECONDS, "path": paths.SIGNING_TOKEN}
    return {"serviceAccountToken": asked}


def _key(secret: str) -> list[Manifest]:
    """Return what is mounted of the Secret of a key: a key that is not encrypted has no password."""
    return [
        {"secret": {"name": secret, "items": [{"key": key, "path": key}], **optional}}
        for key, optional in ((SIGNING_KEY, {}), (SIGNING_PASSWORD, {"optional": True}))
    ]
